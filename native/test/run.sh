#!/bin/sh
# Builds the core's tests under the sanitizers, without Node, and runs them.
set -eu
cd "$(dirname "$0")"
build="${BUILD:-$PWD/../../build/native-test}"
mkdir -p "$build"
# Two at a time would link each other's halves.
exec 9>"$build/lock"
flock 9
make --silent -j"${JOBS:-$(nproc)}" BUILD="$build"
# Leaks are checked too. A sanitizer's finding ends the run with its own exit code.
ASAN_OPTIONS="${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1}" \
UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}" \
  exec "$build/native-test" "$@"
