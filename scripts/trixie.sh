#!/bin/sh
# Prints the folder of a root file system of Debian 13 with its libreswan, 5.2, in it: made once by debootstrap, from
# the mirror that this machine's apt uses, into a cache outside the repository. Needs root and the package debootstrap.
#   chroot "$(sh scripts/trixie.sh)" /usr/libexec/ipsec/whack --version
set -eu
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/corax"
root=$cache/trixie
mkdir -p "$cache"
# Two at a time would make it twice.
exec 9>"$cache/trixie.lock"
flock 9
if [ ! -x "$root/usr/libexec/ipsec/pluto" ]; then
  command -v debootstrap >/dev/null || {
    echo 'corax: debootstrap is missing; on Debian: apt-get install --no-install-recommends debootstrap' >&2
    exit 1
  }
  # apt knows whose archive is whose once it has read the lists.
  # shellcheck disable=SC2016 # apt's words
  mirrors() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian'; }
  [ -n "$(mirrors)" ] || apt-get update -q >&2
  mirror=$(mirrors | head -n 1)
  [ -n "$mirror" ] || {
    echo 'corax: apt has no source that is Debian itself, which is where libreswan 5.2 comes from' >&2
    exit 1
  }
  echo "making a root of Debian 13 with libreswan (once, a minute)" >&2
  # Left by a run that was killed half-way; the lock is ours.
  rm -rf --one-file-system "$cache"/trixie.new-*
  aside=$(mktemp -d "$cache/trixie.new-XXXXXX")
  trap 'rm -rf --one-file-system "$aside"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Its last step, libreswan's own configuration, complains where there is no systemd: what counts is whether it runs.
  nice -n 10 debootstrap --variant=minbase --include=libreswan trixie "$aside" "$mirror" >"$aside.log" 2>&1 9>&- || true
  for program in whack pluto; do
    chroot "$aside" "/usr/libexec/ipsec/$program" --version >/dev/null && continue
    tail -n 20 "$aside.log" >&2
    rm -f "$aside.log"
    echo 'corax: debootstrap left no libreswan that runs' >&2
    exit 1
  done
  rm -rf "$aside.log" "$aside"/var/cache/apt/* "$aside"/var/lib/apt/lists/*
  chmod 755 "$aside"
  mv -T "$aside" "$root"
fi
printf '%s\n' "$root"
