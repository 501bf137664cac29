#!/bin/sh
# Builds the addon into build/Release/corax.node. Works without network where the running node's headers are
# installed beside it; does next to nothing when nothing changed.
set -eu
cd "$(dirname "$0")/.."

for tool in node make g++ python3; do
  command -v "$tool" >/dev/null || {
    echo "corax: $tool is missing; on Debian: apt-get install --no-install-recommends make g++ python3 libnftables-dev" >&2
    exit 1
  }
done
[ -e /usr/include/nftables/libnftables.h ] || echo '#include <nftables/libnftables.h>' | g++ -E -x c++ - >/dev/null 2>&1 || {
  echo 'corax: libnftables is missing; on Debian: apt-get install --no-install-recommends libnftables-dev' >&2
  exit 1
}

# <prefix>/include/node belongs to <prefix>/bin/node; else node-gyp downloads the headers of this version.
nodedir=$(node -p 'require("node:path").dirname(require("node:path").dirname(process.execPath))')
gyp() {
  if [ -e "$nodedir/include/node/node_api.h" ]; then
    node node_modules/node-gyp/bin/node-gyp.js "$@" --nodedir="$nodedir" --loglevel=warn
  else
    node node_modules/node-gyp/bin/node-gyp.js "$@" --loglevel=warn
  fi
}

# Two at a time would link each other's halves.
mkdir -p build
exec 9>build/lock
flock 9

# Configured anew when the recipe or the node changed; what to compile is then make's decision.
stamp="$(node -p 'process.version + " " + process.arch') $nodedir $(cksum <binding.gyp)"
if [ ! -e build/Makefile ] || [ "$(cat build/configured 2>/dev/null)" != "$stamp" ]; then
  gyp configure
  printf '%s\n' "$stamp" >build/configured
fi
gyp build --jobs="${JOBS:-$(nproc)}"
