"""Metrics queries: what can be asked (tables of data), what may be asked, and the SQL that answers it."""
