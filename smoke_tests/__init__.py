"""Black-box smoke tests: official SDK in, public API out, against any Langfuse v4 base URL."""
