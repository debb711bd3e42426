"""Commands that examine a stack and its host."""
