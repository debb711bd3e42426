"""Commands for the developers of this repository."""
