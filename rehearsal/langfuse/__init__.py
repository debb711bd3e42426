"""Stand-ins for the web and worker containers: the wiring of Langfuse around the embedded engine."""
