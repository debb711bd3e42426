"""The pure parts of the stand-ins; the rest is tried by the scenarios."""
