#!/bin/sh
# Downloads Debian packages and all that they depend on, for any architecture, and unpacks them into a folder.
# Nothing is installed and the machine's own apt is not touched: its sources are read, its state is not.
#   sh deploy/image/debian-packages.sh amd64|arm64 FOLDER PACKAGE...
# FOLDER/.packages lists what was unpacked, "name version" a line; FOLDER/.control/NAME is what each says of itself.
set -eu

[ $# -ge 3 ] || {
  echo 'usage: debian-packages.sh ARCHITECTURE FOLDER PACKAGE...' >&2
  exit 2
}
architecture=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
shift 2

state=$(mktemp -d "${TMPDIR:-/tmp}/corax-apt.XXXXXX")
trap 'rm -rf "$state"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$state/lists/partial" "$state/archives/partial"
# dpkg's status is empty, so the whole closure comes; the sandbox user could not write into our folder.
apt() {
  apt-get -q -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o APT::Sandbox::User=root \
    -o Dir::State="$state" -o Dir::State::status=/dev/null -o Dir::Cache="$state" -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3 "$@"
}
fetch() { apt update && apt install -y --download-only --no-install-recommends "$@"; }
fetch "$@" >"$state/log" 2>&1 || {
  tail -n 20 "$state/log" >&2
  echo "corax: these packages could not be had for $architecture: $*" >&2
  exit 1
}
mkdir -p "$folder/.control"
for deb in "$state"/archives/*.deb; do
  dpkg-deb -x "$deb" "$folder"
  dpkg-deb -f "$deb" >"$folder/.control/$(dpkg-deb -f "$deb" Package)"
  # shellcheck disable=SC2016 # the form is dpkg-deb's
  dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
done | sort >"$folder/.packages"
[ -s "$folder/.packages" ]
