"""Commands that save, move, repair and erase data."""
