"""Stand-in for prom/statsd-exporter, of which no package exists."""
