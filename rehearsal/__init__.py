"""Stand-ins for the images of `compose.yaml`, and `make rehearse`, which tries the stack on them."""
