#!/bin/sh
# Builds the addon for an architecture, its own or another, with Debian's compiler of that name.
#   sh scripts/addon-for.sh amd64|arm64 [FOLDER]
# Leaves FOLDER/corax.node; FOLDER is deploy/build/ARCHITECTURE if none is given. libnftables and its headers for that
# architecture are unpacked below FOLDER/sysroot, nothing is installed.
set -eu
out=${2:-}
case $out in '' | /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")/.."
root=$PWD

case ${1:-} in
  amd64) triplet=x86_64-linux-gnu cpu=x64 compiler=g++-x86-64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu cpu=arm64 compiler=g++-aarch64-linux-gnu ;;
  *)
    echo 'usage: addon-for.sh amd64|arm64 [FOLDER]' >&2
    exit 2
    ;;
esac
architecture=$1
out=${out:-$root/deploy/build/$architecture}

for tool in node make python3 "$triplet-g++" dpkg-deb; do
  command -v "$tool" >/dev/null || {
    echo "corax: $tool is missing; on Debian: apt-get install --no-install-recommends make python3 $compiler" >&2
    exit 1
  }
done

mkdir -p "$out"
# Two at a time would link each other's halves.
exec 9>"$out/lock"
flock 9

sysroot=$out/sysroot
if [ ! -e "$sysroot/.packages" ]; then
  rm -rf "$sysroot" "$sysroot.new"
  sh deploy/image/debian-packages.sh "$architecture" "$sysroot.new" libnftables-dev
  mv "$sysroot.new" "$sysroot"
fi

# node-gyp always builds in ./build, so each architecture has a folder of links to the sources.
tree=$out/tree
mkdir -p "$tree"
for name in binding.gyp native node_modules package.json; do ln -sfn "$root/$name" "$tree/$name"; done

# The headers say nothing of an architecture: this machine's own serve.
nodedir=$(node -p 'require("node:path").dirname(require("node:path").dirname(process.execPath))')
set --
[ ! -e "$nodedir/include/node/node_api.h" ] || set -- --nodedir="$nodedir"

# Only libnftables comes from the sysroot, the rest is the compiler's own.
export CC="$triplet-gcc" CXX="$triplet-g++" AR="$triplet-ar" LINK="$triplet-g++"
export CXXFLAGS="-isystem $sysroot/usr/include"
export LDFLAGS="-L$sysroot/usr/lib/$triplet -Wl,-rpath-link,$sysroot/usr/lib/$triplet:$sysroot/lib/$triplet"
cd "$tree"
gyp() { node node_modules/node-gyp/bin/node-gyp.js "$@" --loglevel=warn >&2; }
stamp="$(node -p process.version) $cpu $nodedir $(cksum <binding.gyp)"
if [ ! -e build/Makefile ] || [ "$(cat build/configured 2>/dev/null)" != "$stamp" ]; then
  gyp configure --arch="$cpu" "$@"
  printf '%s\n' "$stamp" >build/configured
fi
gyp build --jobs="${JOBS:-$(nproc)}" "$@"
"$triplet-strip" --strip-unneeded -o "$out/corax.node" build/Release/corax.node
printf '%s\n' "$out/corax.node"
