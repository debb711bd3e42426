"""Find what was acknowledged and cannot be read, and bring it back."""
