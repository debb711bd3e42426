"""The exporter: what the public API, the admin API and a canary say, as Prometheus metrics."""
