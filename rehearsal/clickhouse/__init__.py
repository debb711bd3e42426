"""Stand-in for the ClickHouse server: its engine as a library behind a small HTTP front."""
