#!/bin/sh
# Install the programs that some tests need and Python packages do not bring: restic for backups.
# Does nothing where they are there already. Debian and Ubuntu; elsewhere install them with your package manager.
set -eu

command -v restic >/dev/null && exit 0
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq --no-install-recommends restic >/dev/null
