#!/bin/sh
# Print the first Python >= 3.11 that really runs: the one given, else the usual names.
# (A shim of a version manager may be on PATH without a version behind it.)
set -eu
for python in "${1:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
exit 1
