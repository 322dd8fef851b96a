# Packages of Debian, of any architecture, downloaded and unpacked under build/: nothing of the machine's own apt is
# touched, and no root is needed. To be sourced, in the root of the clone.
keys=/usr/share/keyrings/debian-archive-keyring.gpg

debian_unpack() {  # folder, Debian's name, architecture, packages: with all that they depend on
  local folder=$1 name=$2 architecture=$3 apt package
  shift 3
  if ! type -P apt-get dpkg-deb > /dev/null || [ ! -f "$keys" ]; then
    echo "emulation takes packages of Debian: install apt, dpkg and debian-archive-keyring" >&2
    return 1
  fi
  apt=$(mktemp --directory)
  mkdir -p "$apt"/{state/lists,cache/archives}/partial
  touch "$apt/status"
  echo "deb [signed-by=$keys] http://deb.debian.org/debian $name main" > "$apt/sources.list"
  cat > "$apt/apt.conf" << END
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
END
  APT_CONFIG="$apt/apt.conf" apt-get --quiet=2 update
  APT_CONFIG="$apt/apt.conf" apt-get --quiet=2 install --yes --download-only "$@" > /dev/null
  mkdir -p "$folder"
  for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$folder"
  done
  rm -rf "$apt"
}
