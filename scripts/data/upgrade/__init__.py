"""Upgrades that can be undone: checked, backed up, proven, rolled back by themselves when a step fails."""
