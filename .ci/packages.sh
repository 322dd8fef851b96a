#!/usr/bin/env bash
# What CI needs and pip can't bring, from Debian's or Ubuntu's packages: all of it is named here. Where there is no apt-get
# or we aren't root, what is missing must have been installed.
set -euo pipefail
# A browser, for the monitor's page; libatomic1, for dv-processing; keys of Debian's archive, for test-arm64.
packages="python3-dev python3-venv g++ make chromium libatomic1 debian-archive-keyring"
missing=$(for package in $packages; do dpkg-query --show --showformat '${Status}' "$package" 2> /dev/null | grep -q ' installed$' || echo "$package"; done)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! type -P apt-get > /dev/null; then
  echo "not installed here: $missing" | tr '\n' ' '
  echo
  exit 0
fi
apt-get --quiet=2 update
DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 install --yes --no-install-recommends $missing > /dev/null
echo "installed $missing" | tr '\n' ' '
echo
