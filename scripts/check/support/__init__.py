"""`make support-bundle`: what someone needs to help, in one file, without a secret."""
