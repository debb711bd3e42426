"""What operators go through, tried on `compose.yaml` with stand-in images in a real Docker engine.

This rehearses the wiring, not Langfuse itself (docs/reference/rehearsal.md). Run it with `make rehearse`.
"""
