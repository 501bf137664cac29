#!/bin/sh
# arm64 on an amd64 machine: cross-compiles the addon and the core's tests (under UBSan), and runs the tests one by
# one in QEMU's user emulation. What differs there is tried: alignment, the sign of char, layouts. Needs root, and
# the packages g++-aarch64-linux-gnu and qemu-user-static.
#
# The emulator has neither nf_tables sockets, nor SO_TIMESTAMPING, nor SO_MARK. So nft_test.cc and
# icmp_socket_test.cc are left to a real arm64 machine, and a case that ends in the emulator's own words for that
# is counted apart; any other failure is one.
set -eu
cd "$(dirname "$0")/.."
triplet=aarch64-linux-gnu
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || {
  echo 'corax: qemu-aarch64 is missing; on Debian: apt-get install --no-install-recommends qemu-user-static' >&2
  exit 1
}

addon=$(sh scripts/addon-for.sh arm64)
out=$(dirname "$addon")
lib=$out/sysroot/usr/lib/$triplet
build=$out/core-test
exec 9>"$out/core-test.lock"
flock 9
make --silent -C native/test -j"${JOBS:-$(nproc)}" BUILD="$build" SANITIZE='-fsanitize=undefined -fno-sanitize-recover=all' \
  CXX="$triplet-g++ -isystem $out/sysroot/usr/include -L$lib -Wl,-rpath-link,$lib:$out/sysroot/lib/$triplet" >&2

passed=0 failed=0 lacking=0 left=0
log=$out/case.log
run() {
  timeout 300 "$emulator" -L "/usr/$triplet" -E "LD_LIBRARY_PATH=$lib:/usr/$triplet/lib" "$build/native-test" "$1" >"$log" 2>&1
}
# Without its name a case would be all of them.
names() { sed -n 's/^TEST("\(..*\)") {$/\1/p' "$1"; }
for file in native/test/*_test.cc; do
  cases=$out/cases
  names "$file" >"$cases"
  [ "$(wc -l <"$cases")" = "$(grep -c '^TEST(' "$file")" ] || {
    echo "corax: $file: not every TEST(\"…\") { is on one line" >&2
    exit 1
  }
  while IFS= read -r name; do
    case $(basename "$file")/$name in
      nft_test.cc/* | icmp_socket_test.cc/*) left=$((left + 1)) ;;
      # Allocations are counted by AddressSanitizer's hook.
      */'probing allocates nothing') left=$((left + 1)) ;;
      *)
        # exec 9 is not for the emulator: it would hold the lock when it hangs.
        if run "$name" 9>&-; then
          passed=$((passed + 1))
        elif grep -qE 'Protocol not (supported|available)' "$log"; then
          lacking=$((lacking + 1))
        else
          failed=$((failed + 1))
          printf 'not ok - %s: %s\n' "$(basename "$file")" "$name"
          sed 's/^/  /' "$log"
        fi
        ;;
    esac
  done <"$cases"
done
echo "arm64: $left not tried, $lacking need what the emulator lacks"
echo "$passed passed, $failed failed"
# More than a handful without the emulator's help would mean that nothing was tried.
[ "$failed" = 0 ] && [ "$passed" -gt $((4 * lacking)) ]
