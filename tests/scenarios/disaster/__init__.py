"""A lost host, rebuilt elsewhere from a bundle and a backup by the commands of the runbook."""
