#!/usr/bin/env bash
# Upstream's own test suites, unmodified, against a fresh cloud in a sandbox (make conformance).
#
#   conformance/run.sh [-u] [-f] [SUBSET...]
#
#   SUBSET  identity image network containers orchestration (all five when none is named), or a regular expression
#   -u      add what passes now to passing/SUBSET.txt (the lists only grow)
#   -f      only the listed tests that match subsets/fast.txt: what `make test` runs
#
# Prints a line per subset and the tests that no longer pass; ends with "N passed, N failed, N skipped". Exit status 1 when
# a test of passing/*.txt did not pass. Results and logs stay in the cache, see the last lines.
# SAHAB_PROGRAM names a built program to test instead of building one.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
cd "$PROJECT_DIR"
export PYTHONDONTWRITEBYTECODE=1

# Inside the sandbox: starts the cloud, runs the suites one after the other, leaves their directories in $RESULTS.
inside() {
  local directory=$SAHAB_SANDBOX/cloud log=$RESULTS/sahab.log subset include=()
  "$SAHAB_PROGRAM" up --state-dir "$directory" --listen 127.0.0.1:5000 >"$log" 2>&1 &
  if ! wait_for 60 "the cloud" curl -fsS --noproxy '*' -m 5 http://127.0.0.1:5000/healthcheck; then
    tail -n 20 "$log" >&2
    die "the cloud does not start, see above"
  fi
  # The suites make dozens of projects, each with its networks; the quotas of one are not what they test.
  set -a
  # shellcheck source=/dev/null # written by the cloud
  . "$directory/openrc"
  set +a
  # Where the plugin for Heat looks for a network by name.
  "$CLIENTS/bin/openstack" network create heat-net >/dev/null
  "$CLIENTS/bin/openstack" subnet create --network heat-net --subnet-range 10.99.0.0/24 heat-subnet >/dev/null
  for subset in "$@"; do
    [ "$FAST" = no ] || include=("$RESULTS/fast.txt")
    say "$subset ($SECONDS s so far)"
    conformance/tempest.sh "$RESULTS/${subset//[^a-z-]/_}" "$subset" "${include[@]}" >"$RESULTS/line" || echo "0 passed, 1 failed, 0 skipped" >"$RESULTS/line"
    tail -n1 "$RESULTS/line" | tee -a "$RESULTS/lines" >&2
  done
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi

update=no
FAST=no
while getopts uf option; do
  case $option in
    u) update=yes ;;
    f) FAST=yes ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
subsets=("$@")
[ ${#subsets[@]} -gt 0 ] || subsets=(identity image network containers orchestration)
need_root
if [ -z "${SAHAB_PROGRAM:-}" ]; then
  setup/rust.sh
  setup/packages.sh build
  use_build_cache
  cargo build --locked -p sahab
  SAHAB_PROGRAM=$CARGO_TARGET_DIR/debug/sahab
fi
setup/packages.sh run clients images
CLIENTS=$(setup/clients.sh)
conformance/venv.sh >/dev/null
# A directory of its own for each run, so that two runs do not meet; the newest few are kept.
mkdir -p "$CACHE_DIR/conformance"
find "$CACHE_DIR/conformance" -mindepth 1 -maxdepth 1 -name 'run-*' -printf '%T@ %p\n' | sort -rn | sed '1,4d;s/^[^ ]* //' |
  xargs -r -d '\n' rm -rf
RESULTS=$(mktemp -d "$CACHE_DIR/conformance/run-$(date -u +%m%d-%H%M)-XXXX")
export SAHAB_PROGRAM CLIENTS RESULTS FAST

lists=(conformance/passing/*.txt)
if [ "$FAST" = yes ]; then
  python3 conformance/compare.py select conformance/subsets/fast.txt "${lists[@]}" >"$RESULTS/fast.txt"
  [ -s "$RESULTS/fast.txt" ] || die "no listed test matches conformance/subsets/fast.txt"
  subsets=(fast)
fi
tests/sandbox.sh -i "alpine cirros nginx" conformance/run.sh --inside "${subsets[@]}"

failed=0
for subset in "${subsets[@]}"; do
  results=$RESULTS/${subset//[^a-z-]/_}/results.txt
  [ -s "$results" ] || { failed=1; continue; }
  if [ "$FAST" = yes ]; then
    # Every test that ran here is a listed one.
    grep -vE '^(success|xfail|skip) ' "$results" >&2 && failed=1
    continue
  fi
  list=conformance/passing/$subset.txt
  if [ "$update" = yes ]; then python3 conformance/compare.py update "$list" "$results"; fi
  if [ -e "$list" ]; then python3 conformance/compare.py check "$list" "$results" || failed=1; fi
done
say "results and logs: $RESULTS"
awk '{ p += $1; f += $3; s += $5 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$RESULTS/lines"
exit $failed
