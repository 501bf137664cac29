#!/bin/sh
# Set-up, then every test in one run of node's test runner.
#   sh scripts/test.sh [unit|native|kube|libreswan|deploy|metrics|lab|cluster|bench|full]     nothing = all but the long ones
# unit    pure logic and parsers, and the linters
# native  the addon against the host's kernel, and its C++ tests under sanitizers
# kube    the Kubernetes store against a real kube-apiserver and etcd (built from Go modules the first time)
# libreswan  our messages against Debian's whack and pluto, 4.10 and (in a root of Debian 13, made the first time) 5.2;
#         and agents with it in the lab, of which nothing = all plays a part (CORAX_LAB_BRIEF=1)
# deploy  the image's root file system and the systemd unit
# metrics what Prometheus makes of the metrics, rules and dashboards, with agents in the lab
# lab     NATs, WireGuard and agents: on the host's kernel where it can, else in a micro-VM
# hardnat NATs that let no packet in first, and the ways through them: as the lab
# cluster whole gateways, of several nodes, and clusters that are half raven: as the lab; and 200 members on the host's kernel
# bench   the design's bars on a clock that counts instructions, in a micro-VM (five minutes)
# full    everything, with the lab's long variants (CORAX_LAB_FULL=1), the Containerfile and arm64
set -eu
cd "$(dirname "$0")/.."

lane=${1:-all}
setup=
case $lane in
  unit) lanes='test/unit test/repo' ;;
  native) lanes='test/native' ;;
  kube) lanes='test/kube' ;;
  libreswan) lanes='test/libreswan' ;;
  deploy) lanes='test/deploy' ;;
  metrics) lanes='test/metrics' ;;
  lab) lanes='test/lab' ;;
  hardnat) lanes='test/hardnat' ;;
  cluster) lanes='test/cluster test/native/members.test.ts' ;;
  bench) lanes='test/bench' ;;
  full)
    lanes='test/unit test/repo test/native test/kube test/libreswan test/deploy test/metrics test/lab test/hardnat test/cluster test/bench test/full'
    setup=--full
    export CORAX_LAB_FULL=1
    ;;
  all)
    lanes='test/unit test/repo test/native test/kube test/libreswan test/deploy test/metrics test/lab test/hardnat test/cluster test/bench'
    # Of what is played again and again in the labs (pairs of NATs in both orders, libreswan's pairs, deaths
    # between two steps, agents that tell their NAT) a part; `libreswan`, `lab` and `full` have the whole.
    export CORAX_LAB_BRIEF=1
    ;;
  *)
    echo "test: no lane is called $lane; there are unit, native, kube, libreswan, deploy, metrics, lab, hardnat, cluster, bench and full" >&2
    exit 2
    ;;
esac

# shellcheck disable=SC2086 # nothing, or one word
sh scripts/setup.sh --yes $setup
case $lanes in
  # Before the tests, so that its progress is seen. Without Go it says what to do, and the other lanes go on.
  *test/kube*) npm run --silent kube -- get >/dev/null || [ "$lane" != kube ] ;;
esac
case $lanes in
  *test/libreswan*) sh scripts/trixie.sh >/dev/null || [ "$lane" != libreswan ] ;;
esac
# shellcheck disable=SC2086 # a list of words; paths of the repository have no spaces
files=$(find $lanes -name '*.test.ts' ! -name '*.kernel.test.ts' | LC_ALL=C sort)
[ -n "$files" ] || {
  echo "test: there are no tests in $lanes" >&2
  exit 1
}
# *.kernel.test.ts are the lab's: they need WireGuard.
# The tests, and the micro-VM with them, end with whoever started them, even when that one is killed outright.
[ "$(ps -o ppid= -p $$ | tr -d ' ')" = "$PPID" ] || exit 143
# shellcheck disable=SC2086
exec setpriv --pdeathsig TERM node -C corax-source --import tsx --test --test-reporter="${CORAX_TEST_REPORTER:-spec}" $files
