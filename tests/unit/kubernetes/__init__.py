"""Tests of what is rendered for a cluster."""
