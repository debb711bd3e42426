"""The tests as other people run them: another user, umask, path, Python and home."""
