"""`make support-bundle`: what somebody needs to help, in one file, without a secret."""
