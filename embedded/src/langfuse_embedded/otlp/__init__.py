"""OpenTelemetry in, Langfuse events out: decoding and mapping, without any I/O."""
