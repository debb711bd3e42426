#!/usr/bin/env bash
## Install a Docker engine (25 or later) with Compose (2.25 or later) from Debian packages, where there is none. For
## `make rehearse` and CI: no service manager and no container registry needed. Asks nothing, starts nothing, and does
## nothing where both are there. Usage: rehearsal/install_engine.sh [--check]; --check only says it (exit 0 or 1).
set -euo pipefail

## The same as in scripts/docker/availability.py, which says why.
readonly min_engine=25 min_compose=2.25
## The oldest Debian whose packages are new enough; they run on the C library of the release before it, too.
readonly suite=trixie
readonly packages=(docker.io docker-cli docker-compose)

fail() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 1
}

## Whether version $1 is $2 or later.
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1)" = "$2" ]
}

## Say what is missing, in a few words; nothing when all is there.
missing() {
  local engine compose
  engine=$(dockerd --version 2>/dev/null | sed -nE 's/^Docker version ([0-9.]+).*/\1/p') || true
  compose=$(docker compose version --short 2>/dev/null) || true
  [ -n "$engine" ] || { echo "no Docker engine"; return; }
  at_least "$engine" "$min_engine" || { echo "Docker engine $engine is older than $min_engine"; return; }
  [ -n "$compose" ] || { echo "no Docker Compose"; return; }
  at_least "${compose#v}" "$min_compose" || { echo "Docker Compose $compose is older than $min_compose"; return; }
  command -v iptables >/dev/null || echo "no iptables"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --non-interactive -- "$@"
  else
    fail "Packages can be installed by root only." "run this script as root, or install Docker $min_engine or later."
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >&2
}

## The code names of the Debian suites that apt knows, and where the first of them comes from.
known_suites() {
  # shellcheck disable=SC2016 # apt-get replaces these, not the shell
  apt-get indextargets --format '$(LABEL) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && !seen[$2]++ { print $2, $3 }'
}

## Make the packages of the newer Debian available, at a priority at which nothing else is upgraded to them.
add_suite() {
  local etc=${APT_ETC:-/etc/apt} mirror
  mirror=$(known_suites | awk 'NR == 1 { print $2 }')
  [ -n "$mirror" ] || fail "apt has no Debian package source." "install Docker $min_engine or later by hand."
  as_root tee "$etc/preferences.d/langfuse-stack" >/dev/null <<END
Package: *
Pin: release n=$suite
Pin-Priority: 50
END
  as_root tee "$etc/sources.list.d/langfuse-stack.sources" >/dev/null <<END
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
}

main() {
  local lack
  lack=$(missing)
  if [ -z "$lack" ]; then
    echo "A Docker engine and Compose are installed."
    return
  fi
  if [ "${1:-}" = --check ]; then
    echo "$lack"
    exit 1
  fi
  command -v apt-get >/dev/null || fail "$lack, and this is no Debian." "install Docker $min_engine or later by hand."
  echo "Installing Docker from Debian packages: $lack." >&2
  apt update
  if ! known_suites | grep -q "^$suite "; then
    add_suite
    apt update
  fi
  apt install --yes --no-install-recommends "${packages[@]/%//$suite}" iptables
  lack=$(missing)
  [ -z "$lack" ] || fail "Still $lack after the installation." "look at what apt said above."
  echo "Installed a Docker engine and Compose."
}

main "$@"
