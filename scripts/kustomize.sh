#!/bin/sh
# Prints the path of kustomize, at the version that scripts/kustomize/go.mod pins: built once from Go modules into
# a cache outside the repository.
#   $(sh scripts/kustomize.sh) build deploy/overlays/standalone
set -eu
cd "$(dirname "$0")/kustomize"

tool=sigs.k8s.io/kustomize/kustomize/v5
version=$(sed -n "s|^[[:space:]]*$tool \(v[^ ]*\).*|\1|p" go.mod)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/corax/kustomize"
binary="$cache/kustomize-$version"
mkdir -p "$cache"

# Two at a time would build it twice.
exec 9>"$cache/lock"
flock 9
if [ ! -x "$binary" ]; then
  command -v go >/dev/null || {
    echo "corax: kustomize $version is built with Go 1.24 or later, which is missing; any kustomize 5 does by hand" >&2
    exit 1
  }
  echo "building kustomize $version (once)" >&2
  # Built aside and renamed: a build that is killed leaves nothing that looks whole. /version says what it is.
  GOFLAGS=-mod=readonly CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X sigs.k8s.io/kustomize/api/provenance.version=kustomize/$version" -o "$binary.new" "$tool"
  mv "$binary.new" "$binary"
fi
printf '%s\n' "$binary"
