#!/bin/sh
# Let the Python of an environment import the engine from this checkout.
# A path relative to site-packages: the checkout may be moved, or mounted elsewhere.
set -eu
for packages in "$1"/lib/python3*/site-packages; do
  echo ../../../../embedded/src >"$packages/langfuse-embedded.pth"
done
