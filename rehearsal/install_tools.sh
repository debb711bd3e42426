#!/bin/sh
# Install the programs that some tests need and Python packages do not bring: restic for backups, sshd for those on
# an SFTP server, Prometheus and Alertmanager (with promtool and amtool) for alerts, and a browser for the viewer.
# Installs what is missing only, and starts no service.
# Debian and Ubuntu; elsewhere install them with your package manager.
set -eu

missing=
command -v restic >/dev/null || missing="$missing restic"
PATH="$PATH:/usr/sbin" command -v sshd >/dev/null || missing="$missing openssh-server"
command -v promtool >/dev/null || missing="$missing prometheus"
command -v amtool >/dev/null || missing="$missing prometheus-alertmanager"
# Ubuntu's packages of this name are empty ones that install a snap; its CI machines come with Chrome.
if grep -q '^ID=debian$' /etc/os-release 2>/dev/null; then
  command -v chromium >/dev/null || missing="$missing chromium"
  command -v chromedriver >/dev/null || missing="$missing chromium-driver"
fi
[ -n "$missing" ] || exit 0
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -qq
# RUNLEVEL=1: packages start no service. The list is split into words on purpose.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends $missing >/dev/null
if command -v systemctl >/dev/null; then
  for service in prometheus prometheus-alertmanager ssh; do
    case $missing in *"$service"*) $as_root systemctl disable --now "$service" >/dev/null 2>&1 || true ;; esac
  done
fi
