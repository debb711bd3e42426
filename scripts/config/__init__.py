"""Commands that compare a server with config/, and change keys and secrets."""
