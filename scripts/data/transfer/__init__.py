"""Move data through the public API: exports for analysis and audits, imports that keep ids."""
