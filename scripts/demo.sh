#!/bin/sh
# Set-up, then the demo: two edges behind NATs go direct. Options go to "corax lab demo" (see --help there).
set -eu
cd "$(dirname "$0")/.."

# --yes is for the set-up, all else for the demo.
yes=
for word in "$@"; do
  shift
  case $word in
    --yes | -y) yes=--yes ;;
    *) set -- "$@" "$word" ;;
  esac
done
sh scripts/setup.sh $yes

# The demo ends with whoever started it (npm, by way of its "exec sh"), even when that one is killed outright.
[ "$(ps -o ppid= -p $$ | tr -d ' ')" = "$PPID" ] || exit 143
exec setpriv --pdeathsig TERM node dist/main.js lab demo "$@"
