#!/usr/bin/env bash
# Measures the release build in a sandbox and prints one table: ours, the reference measured in the same run, the aim.
#
#   bench/run.sh [-w] [ROW...]
#
#   ROW  start container burst stack api heat throughput (all when none is named)
#   -w   also write the table, with the machine it ran on, to docs/performance.md
#
# SAHAB_PROGRAM names a built program to measure instead of building one; BENCH_SAMPLES says how many samples a row takes
# (20). Numbers of a busy machine say little: the load is printed beside them.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
cd "$PROJECT_DIR"
need_root
export PYTHONDONTWRITEBYTECODE=1

write=no
while getopts w option; do
  case $option in
    w) write=yes ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))

if [ -z "${SAHAB_PROGRAM:-}" ]; then
  setup/rust.sh
  setup/packages.sh build
  use_build_cache
  cargo build --release --locked -p sahab
  SAHAB_PROGRAM=$CARGO_TARGET_DIR/release/sahab
  export SAHAB_PROGRAM
fi
setup/packages.sh run clients images bench
clients=$(setup/clients.sh)
table=$(mktemp)
trap 'rm -f "$table"' EXIT
PYTHONPATH=tests/e2e tests/sandbox.sh -i "busybox mysql wordpress" "$clients/bin/python" bench/bench.py "$@" | tee "$table"
if [ "$write" = yes ]; then
  mkdir -p docs
  cp "$table" docs/performance.md
  say "written to docs/performance.md"
fi
