#!/bin/sh
# Installs what build-rootfs.sh needs on Debian, into the image's build stage.
#   sh deploy/image/tools.sh [amd64|arm64]
set -eu
own=$(dpkg --print-architecture)
target=${1:-$own}
packages='make python3 g++'
if [ "$target" != "$own" ]; then
  case $target in
    amd64) packages='make python3 g++-x86-64-linux-gnu' ;;
    arm64) packages='make python3 g++-aarch64-linux-gnu' ;;
    *)
      echo "tools: there is no image for $target, only for amd64 and arm64" >&2
      exit 2
      ;;
  esac
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -q -y --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
