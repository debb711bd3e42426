"""The exporter: what the public API, the admin API and a canary tell, as Prometheus metrics."""
