"""The two engines behind the API: `compose` (the real Langfuse) and `embedded`."""
