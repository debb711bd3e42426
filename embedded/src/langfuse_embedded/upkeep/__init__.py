"""Work on a data directory beside the engine: consistent copies, and what they contain."""
