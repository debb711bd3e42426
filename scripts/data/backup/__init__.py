"""Backups of a whole stack as one set, restores that are verified, and proof that they work."""
