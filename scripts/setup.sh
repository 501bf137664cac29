#!/bin/sh
# Makes a fresh Debian 12 machine ready: system packages, npm packages, the build. Quick when nothing is to do.
#   sh scripts/setup.sh [--yes] [--full]
# --full adds what only `npm run test:full` needs: another architecture's compiler and its emulator.
# On a terminal it lists the system packages and asks first; --yes, or no terminal, goes ahead.
set -eu
cd "$(dirname "$0")/.."

yes='' full=''
for word in "$@"; do
  case $word in
    --yes | -y) yes=1 ;;
    --full) full=1 ;;
    *)
      echo "setup: unknown option $word (there are --yes and --full)" >&2
      exit 2
      ;;
  esac
done

log=$(mktemp "${TMPDIR:-/tmp}/corax-setup.XXXXXX")
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  printf 'setup: %s\n' "$*" >&2
  rm -f "$log"
  exit 1
}
# Runs a step with its output put aside; shows it when the step fails.
step() {
  say "$1"
  shift
  "$@" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    die "failed: $*"
  }
}

# --- what is needed --------------------------------------------------------------------------------------------
build='g++ make python3 libnftables-dev'
network='iproute2 nftables conntrack iputils-ping wireguard-tools libreswan debootstrap coturn miniupnpd-nftables kmod procps util-linux systemd'
machine='qemu-system-x86 busybox-static'
browser='chromium'
watching='prometheus'
other='g++-aarch64-linux-gnu qemu-user-static'

# Whether this kernel can carry a lab by itself, as far as the tools for trying are there (lab/setting.ts tries
# the same); without iproute2 that cannot be tried, and is doubted.
kernel_is_enough() {
  [ "${CORAX_LAB:-}" != vm ] || return 1
  [ "${CORAX_LAB:-}" != host ] || return 0
  command -v ip >/dev/null && command -v unshare >/dev/null && unshare --net sh -c '
    modprobe -q -a wireguard sch_netem nf_conntrack_netlink nft_masq 2>/dev/null
    ip link add wg0 type wireguard && ip link add a0 type veth peer name b0 &&
      tc qdisc add dev a0 root netem delay 1ms &&
      { ! command -v nft || echo "table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; }" | nft -f -; }
  ' >/dev/null 2>&1
}

missing_packages() {
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

# --- node ------------------------------------------------------------------------------------------------------
command -v node >/dev/null && command -v npm >/dev/null || die 'Node.js 20.19 or later, with npm, has to be installed first'
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  die "Node.js $(node -v) is too old; 20.19 or later is needed"

policy=/usr/sbin/policy-rc.d
# One that an earlier run left when it was killed.
[ ! -e "$policy" ] || ! grep -q 'written by corax' "$policy" || rm -f "$policy"

# --- system packages -------------------------------------------------------------------------------------------
wanted="$build $network $browser $watching"
kernel_is_enough || wanted="$wanted $machine"
[ -z "$full" ] || wanted="$wanted $other"
if command -v dpkg-query >/dev/null && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then
  # shellcheck disable=SC2086 # a list of words
  missing=$(missing_packages $wanted)
  if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || die "not root, and these packages are missing: $missing
Run this as root, or install them: apt-get install --no-install-recommends $missing"
    if [ -t 0 ] && [ -t 2 ] && [ -z "$yes" ]; then
      printf 'These Debian packages are going to be installed, without recommends:\n  %s\nGo ahead? [Y/n] ' "$missing" >&2
      read -r answer
      case $answer in '' | [yYjJ]*) ;; *) die 'nothing was installed' ;; esac
    fi
    # Only files are wanted: nothing that apt installs here may be started, now or at the next boot.
    if [ ! -e "$policy" ]; then
      trap 'rm -f "$policy" "$log"' EXIT
      trap 'exit 130' INT
      trap 'exit 143' TERM
      printf '#!/bin/sh\n# written by corax: scripts/setup.sh\nexit 101\n' >"$policy"
      chmod 755 "$policy"
    fi
    install() { DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; }
    say "installing $(echo "$missing" | wc -w) Debian packages: $missing"
    # shellcheck disable=SC2086
    install $missing >"$log" 2>&1 || {
      step 'reading the package lists (apt-get update)' apt-get update -q
      # shellcheck disable=SC2086
      step 'installing again' install $missing
    }
    # deb-systemd-helper works for maintainer scripts only.
    stay_off() {
      ! command -v deb-systemd-helper >/dev/null ||
        DPKG_MAINTSCRIPT_PACKAGE="$1" deb-systemd-helper disable "$1.service" >/dev/null 2>&1 || true
      ! command -v update-rc.d >/dev/null || update-rc.d "$1" disable >/dev/null 2>&1 || true
    }
    case " $missing" in *' coturn '*) stay_off coturn ;; esac
    case " $missing" in *' libreswan '*) stay_off ipsec ;; esac
    case " $missing" in *' prometheus '*) stay_off prometheus ;; esac
    [ ! -e "$policy" ] || ! grep -q 'written by corax' "$policy" || rm -f "$policy"
  fi
else
  # Not Debian: what matters are the programs, whoever packaged them.
  programs='g++ make python3 ip nft conntrack ping wg ipsec certutil debootstrap turnserver miniupnpd prometheus promtool modprobe setpriv nsenter chromium'
  kernel_is_enough || programs="$programs qemu-system-x86_64 busybox"
  absent=
  for program in $programs; do command -v "$program" >/dev/null || absent="$absent $program"; done
  [ -z "$absent" ] || die "this is not Debian, so nothing is installed for you. These programs are missing:$absent
On Debian 12 they come from: $wanted
Install what your distribution calls them (with libnftables' headers), and run this again."
fi

# --- npm packages and the build --------------------------------------------------------------------------------
# npm leaves a lock file of what it installed; packages for other platforms are not in it.
packages_are_there() {
  node -e '
    const { readFileSync } = require("node:fs");
    const read = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
    const [wanted, there] = [read("package-lock.json"), read("node_modules/.package-lock.json")];
    const same = ([path, { version, optional }]) => path === "" || optional || there[path]?.version === version;
    process.exit(Object.entries(wanted).every(same) ? 0 : 1);
  ' 2>/dev/null
}
packages_are_there || step 'installing npm packages (npm ci)' npm ci --no-audit --no-fund

sources() { find src lab bench native test/native binding.gyp package.json tsconfig*.json scripts -type f -print0 | sort -z | xargs -0 cat; }
build_stamp="$(node -v) $(sha256sum <package-lock.json) $(sources | sha256sum)"
# The build is incremental; even asking tsc and make takes seconds, a checksum does not.
if [ ! -e dist/main.js ] || [ ! -e build/Release/corax.node ] || [ "$(cat dist/.corax-setup 2>/dev/null)" != "$build_stamp" ]; then
  step 'building (npm run build)' npm run build
  printf '%s\n' "$build_stamp" >dist/.corax-setup
fi
rm -f "$log"
