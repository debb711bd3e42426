"""The numbers of the dashboards as one HTML page, for hosts without Grafana."""
