"""Take over a Langfuse that runs by the official compose file."""
