"""Delete what is old, or what belongs to a person, and prove that it is gone."""
