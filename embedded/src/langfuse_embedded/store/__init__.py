"""What the engine keeps: relational state and events in SQLite, metrics in DuckDB."""
