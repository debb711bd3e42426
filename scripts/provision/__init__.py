"""Provisioning: the desired state in `config/`, compared with a server, applied, and exported again."""
