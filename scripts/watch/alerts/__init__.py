"""Alerts: read `config/alerts.yaml`, evaluate it, compile it for Prometheus and Alertmanager."""
