#!/bin/sh
# The root file system of the image: Node, the bundled command, the addon, and the Debian libraries that these two
# need. No shell and no package manager. Needs node_modules (npm ci) and dist/ (npm run build:ts).
#   sh deploy/image/build-rootfs.sh amd64|arm64 FOLDER NODE [PACKAGE...]
# NODE is the node binary of that architecture. FOLDER is made anew. PACKAGEs of Debian come on top: "libreswan
# libnss3-tools" for the libreswan driver.
set -eu
umask 022

[ $# -ge 3 ] || {
  echo 'usage: build-rootfs.sh amd64|arm64 FOLDER NODE [PACKAGE...]' >&2
  exit 2
}
architecture=$1 folder=$2 node=$3
shift 3
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
case $node in /*) ;; *) node=$PWD/$node ;; esac
cd "$(dirname "$0")/../.."
for needed in "$node" dist/main.js node_modules/.package-lock.json; do
  [ -s "$needed" ] || {
    echo "corax: $needed is missing: npm ci && npm run build:ts come first" >&2
    exit 1
  }
done

addon=$(sh scripts/addon-for.sh "$architecture")
root=$folder.new
rm -rf "$root"
# kmod is for the optional step that loads kernel modules (deploy/components/load-modules).
sh deploy/image/debian-packages.sh "$architecture" "$root" libnftables1 libstdc++6 kmod "$@"

# What nobody asks for at run time; copyright files stay.
find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name doc -exec rm -rf {} +
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root" -type d -name gconv -prune -exec rm -rf {} +
rm -rf "$root/etc/init.d" "$root/etc/ld.so.conf.d" "$root/lib/systemd" "$root/etc/depmod.d"

# As scanners of images look for it.
mkdir -p "$root/usr/lib" "$root/var/lib/dpkg"
mv "$root/.packages" "$root/usr/share/doc/packages"
mv "$root/.control" "$root/var/lib/dpkg/status.d"
cp /etc/os-release "$root/etc/os-release"

install -D -m 0755 "$node" "$root/usr/bin/node"
corax=$root/opt/corax
install -D -m 0644 "$addon" "$corax/build/Release/corax.node"
mkdir -p "$corax/dist"
# Only the bundle: main.js, what it starts, and the chunks of both.
for file in dist/main.js dist/document-worker.js dist/chunk-*.js; do
  # Maps of the sources stay behind, and so does the line that names them.
  sed '/^\/\/# sourceMappingURL=/d' "$file" >"$corax/$file"
done
node -e '
  const { name, version, license, type } = require("./package.json");
  console.log(JSON.stringify({ name, version, license, type }, null, 2));
' >"$corax/package.json"
# main.js begins with "env node", and there is no env.
mkdir -p "$corax/bin"
printf '#!/usr/bin/node\nimport "../dist/main.js";\n' >"$corax/bin/corax.js"
chmod 0755 "$corax/bin/corax.js"
ln -s ../../opt/corax/bin/corax.js "$root/usr/bin/corax"

# The bundle holds these packages, whose licences ask to be named.
licences=$root/usr/share/doc/corax
install -D -m 0644 LICENSE "$licences/copyright"
npm ls --omit=dev --all --parseable --silent | sed 1d | sort -u | while IFS= read -r package; do
  name=${package##*/node_modules/}
  for text in "$package"/[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*; do
    [ ! -f "$text" ] || install -D -m 0644 "$text" "$licences/$name/$(basename "$text")"
  done
done

mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/etc/corax"
install -d -m 1777 "$root/tmp"
install -d -m 0700 "$root/var/lib/corax" "$root/run/corax" "$root/root"
echo 'root:x:0:0:root:/root:/nonexistent' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

rm -rf "$folder"
mv "$root" "$folder"
du -sm "$folder" | sed 's/[[:space:]].*/ MiB in the root file system/' >&2
