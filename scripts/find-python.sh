#!/bin/sh
## Print a Python >= 3.11 that really runs: the one given, else the first of the usual names. One that is given and
## cannot be used is refused with the reason: another would be a surprise.
## (A shim of a version manager may be on PATH without a version behind it.)
set -eu
is_new='import sys; sys.exit(0 if sys.version_info >= (3, 11) else "it is Python " + sys.version.split()[0])'
if [ -n "${1:-}" ]; then
  if ! command -v "$1" >/dev/null; then
    said="there is no such program"
  elif said=$("$1" -c "$is_new" 2>&1); then
    echo "$1"
    exit 0
  fi
  printf 'error: PYTHON=%s cannot be used: %s\n' "$1" "$(printf '%s\n' "${said:-it does not run}" | tail -n 1)" >&2
  echo "fix: name a Python 3.11 or later, or none (unset PYTHON): then one on PATH is taken." >&2
  exit 2
fi
for python in python3 python3.14 python3.13 python3.12 python3.11; do
  if "$python" -c "$is_new" 2>/dev/null; then
    echo "$python"
    exit 0
  fi
done
echo "error: there is no Python 3.11 or later on PATH." >&2
echo "fix: install it (Debian: apt install python3-venv), or name yours: make up PYTHON=/path/to/python3" >&2
exit 1
