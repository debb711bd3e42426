"""Which model a generation used, and what it cost: matching, pricing tiers, built-in prices. Pure, no I/O."""
