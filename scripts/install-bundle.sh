#!/bin/sh
## Install a bundle of `make bundle` on a host without a network: check signature and checksums, unpack the repository,
## make its Python environment, load its images. Nothing of the bundle runs before it has been checked, and a failure
## leaves the directory as it was.
## Usage: install-bundle.sh BUNDLE DIRECTORY SIGNERS
##   SIGNERS  public key of who made it, as `ssh-keygen -Y verify` wants it, or the word "unsigned" to trust anyone
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
## There only while this program works, or after it was killed: then what is around it is its own.
work=$directory/.installing
if [ -e "$directory" ] && [ -n "$(ls -A "$directory")" ]; then
  [ -d "$work" ] && [ ! -L "$work" ] ||
    fail "$directory is not empty." "choose a new directory; a stack of another version is moved by backup and restore."
  echo "An earlier try was interrupted: it is removed first." >&2
  find "$directory/" -mindepth 1 -maxdepth 1 ! -name .installing -exec rm -rf {} +
  rm -rf "$work"
fi

existed=
[ ! -d "$directory" ] || existed=yes
## In the directory, so on its disk: images may take gigabytes.
mkdir -p "$work"
work=$(cd "$work" && pwd)
found=$work-files
installed=
undo() {
  if [ -z "$installed" ]; then
    ## The mark goes last: whatever ends this half way, the next try goes on with it.
    find "$directory/" -mindepth 1 -maxdepth 1 ! -name .installing -exec rm -rf {} +
  fi
  rm -rf "$work" "$found"
  [ -n "$installed$existed" ] || rmdir "$directory"
}
trap undo EXIT
trap 'exit 130' INT TERM HUP

echo "Unpacking ..." >&2
tar -xf "$bundle" -C "$work" --no-same-owner --no-same-permissions || fail "$bundle cannot be unpacked." "copy it again."
## A link or a pipe has no checksum, and what follows would read through it. A second name of a file is one, too.
chmod -R u+rwX "$work"
strange=$(find "$work" -mindepth 1 \( ! -type f ! -type d -o -type f -links +1 \) | head -n 1)
[ -z "$strange" ] || fail "$bundle holds something that is not a plain file: ${strange#"$work"/}" "do not install it."
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
## Only what has a checksum, and each of it once: anything else was added by someone else.
(cd "$work" && find . -type f ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig | sed 's|^\./||' | LC_ALL=C sort) >"$found"
sed 's/^[0-9a-f]*  //' "$work/SHA256SUMS" | LC_ALL=C sort | cmp -s - "$found" || {
  rm -f "$found"
  fail "$bundle holds files without a checksum." "do not install it."
}
rm -f "$found"
(cd "$work" && sha256sum --check --strict --quiet SHA256SUMS >&2) ||
  fail "$bundle is damaged or was changed." "copy it again, or do not install it."

echo "Installing ..." >&2
tar -xzf "$work/repository.tar.gz" -C "$directory" --no-same-owner
[ ! -f "$work/site.tar.gz" ] || tar -xzf "$work/site.tar.gz" -C "$directory" --no-same-owner
python=$(sh "$directory/scripts/find-python.sh") || exit 1
"$python" -m venv "$directory/.venv" ||
  fail "The Python environment could not be made." "install python3-venv from the packages of this host."
"$directory/.venv/bin/python" -m pip install -qq --disable-pip-version-check --no-index --find-links "$work/wheels" \
  --require-hashes -r "$directory/requirements/runtime.lock" ||
  fail "The packages do not fit this host." "make the bundle with the Python version of this host, and its processor."
sh "$directory/scripts/link-engine.sh" "$directory/.venv"
## make does not install them again.
touch "$directory/.venv/.runtime"
if [ -f "$work/images.tar.zst" ]; then
  (cd "$directory" && .venv/bin/python -m scripts images load "$work/images.tar.zst")
fi
installed=yes
echo "Installed in $directory. Next: cd $directory && make up"
