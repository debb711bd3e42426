"""The images of the compose stack: pull them, lock their digests, carry them to a host without a registry."""
