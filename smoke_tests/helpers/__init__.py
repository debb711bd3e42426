"""What the smoke tests share: finding the server, reading from it, waiting for what was sent."""
