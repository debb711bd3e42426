"""Commands that start, show, test and stop a stack."""
