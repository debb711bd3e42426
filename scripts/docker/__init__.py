"""Every call of docker and compose, and what is known of containers."""
