"""The commands that run a Langfuse stack: `python -m scripts COMMAND`, one module per command."""
