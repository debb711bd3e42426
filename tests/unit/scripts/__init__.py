"""Tests of the verbs and what they share."""
