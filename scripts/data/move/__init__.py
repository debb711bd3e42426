"""Move a compose stack to another one while it takes spans."""
