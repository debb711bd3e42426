"""The HTTP side of the engine: routing table, authentication, validation, pagination, errors."""
