#!/bin/sh
## Install a bundle of `make bundle` on a host without a network: check signature and checksums, unpack the repository,
## make its Python environment, load its images. Nothing of the bundle runs before it has been checked.
## Usage: install-bundle.sh BUNDLE DIRECTORY SIGNERS
##   SIGNERS  public key of who made it, as `ssh-keygen -Y verify` wants it, or the word "unsigned" to trust anybody
set -eu

fail() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 1
}

[ $# -eq 3 ] || fail "Three arguments are needed." "install-bundle.sh BUNDLE DIRECTORY SIGNERS (or unsigned)"
[ -n "$1" ] && [ -n "$2" ] && [ -n "$3" ] || fail "Something is left empty." "make install-bundle FILE=BUNDLE INTO=DIRECTORY SIGNERS=FILE (or unsigned)"
bundle=$1 directory=$2 signers=$3
[ -f "$bundle" ] || fail "There is no file $bundle." "name the file that make bundle wrote."
for program in tar sha256sum python3; do
  command -v "$program" >/dev/null || fail "$program is not installed." "install it from the packages of this host."
done
if [ -e "$directory" ] && [ -n "$(ls -A "$directory")" ]; then
  fail "$directory is not empty." "choose a new directory; a stack of another version is moved by backup and restore."
fi

## On the disk that it is installed on: images may take gigabytes.
parent=$(dirname "$directory")
mkdir -p "$parent"
work=$(mktemp -d "$parent/.bundle.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "Unpacking ..." >&2
tar -xf "$bundle" -C "$work" --no-same-owner || fail "$bundle cannot be unpacked." "copy it again."
for part in SHA256SUMS repository.tar.gz wheels; do
  [ -e "$work/$part" ] || fail "$bundle has no $part." "make it again: make bundle."
done

echo "Checking ..." >&2
if [ "$signers" = unsigned ]; then
  echo "warning: the signature is not checked." >&2
else
  [ -f "$signers" ] || fail "There is no file $signers." "write one line: bundle followed by the public key."
  [ -f "$work/SHA256SUMS.sig" ] || fail "$bundle is not signed." "make it with KEY=, or say unsigned."
  command -v ssh-keygen >/dev/null || fail "ssh-keygen is not installed." "install openssh-client."
  ssh-keygen -Y verify -q -f "$signers" -I bundle -n langfuse-stack -s "$work/SHA256SUMS.sig" <"$work/SHA256SUMS" ||
    fail "$bundle was not signed with a key of $signers." "ask who made it; do not install it."
fi
(cd "$work" && sha256sum --check --strict --quiet SHA256SUMS >&2) ||
  fail "$bundle is damaged or was changed." "copy it again, or do not install it."
## What has no checksum was added by somebody else.
(cd "$work" && find . -type f ! -name 'SHA256SUMS*' | sed 's|^\./||' | sort) >"$work.found"
sed 's/^[0-9a-f]*  //' "$work/SHA256SUMS" | sort | cmp -s - "$work.found" || {
  rm -f "$work.found"
  fail "$bundle holds files without a checksum." "do not install it."
}
rm -f "$work.found"

echo "Installing ..." >&2
mkdir -p "$directory"
tar -xzf "$work/repository.tar.gz" -C "$directory" --no-same-owner
python=$(sh "$directory/scripts/find-python.sh")
"$python" -m venv "$directory/.venv" ||
  fail "The Python environment could not be made." "install python3-venv from the packages of this host."
"$directory/.venv/bin/python" -m pip install -qq --disable-pip-version-check --no-index --find-links "$work/wheels" \
  --require-hashes -r "$directory/requirements.lock" ||
  fail "The packages do not fit this host." "make the bundle with the Python version of this host, and its processor."
## make does not install them again.
touch "$directory/.venv/.runtime"
if [ -f "$work/images.tar.zst" ]; then
  (cd "$directory" && .venv/bin/python -m scripts images load "$work/images.tar.zst")
fi
echo "Installed in $directory. Next: cd $directory && make up"
