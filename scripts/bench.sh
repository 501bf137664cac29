#!/bin/sh
# Set-up, then the benchmarks: corax beside others. Options go to bench/main.ts (see --help there).
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --yes

# Ends with whoever started it (npm, by way of its "exec sh"), even when that one is killed outright.
[ "$(ps -o ppid= -p $$ | tr -d ' ')" = "$PPID" ] || exit 143
exec setpriv --pdeathsig TERM node dist/bench/main.js "$@"
