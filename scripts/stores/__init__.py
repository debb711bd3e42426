"""The stores of a compose stack, as backups, reconciling and erasure reach them."""
