"""The client of Langfuse's public API."""
