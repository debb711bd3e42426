"""The checks: a module for each group, each ending with the list of its checks."""
