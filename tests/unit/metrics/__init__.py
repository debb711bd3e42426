"""Tests of metrics queries."""
