#!/usr/bin/env bash
# The whole gate: format, lint, unit tests, end-to-end tests with the real program, real Docker and unmodified clients.
#
#   tests/run.sh                    everything (make test)
#   tests/run.sh e2e [pytest args]  only the end-to-end tests: tests/run.sh e2e test_network.py -k quota
#   tests/run.sh lint | unit | conformance    only that part
#
# Needs root and a Rust toolchain; installs the rest. Ends with one line "N passed, N failed" over all parts. The
# end-to-end tests run in tests/sandbox.sh: they start and stop everything they need, and a running cloud is not touched.
# SAHAB_PROGRAM names a built program to test instead of building one; SAHAB_CRASH_KILLS and SAHAB_CRASH_SEED are explained
# in tests/e2e/test_crash.py.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
cd "$PROJECT_DIR"
need_root
use_build_cache
export PYTHONDONTWRITEBYTECODE=1

PASSED=0
FAILED=0
FAILURES=()
count() { # count PASSED FAILED
  PASSED=$((PASSED + $1))
  FAILED=$((FAILED + $2))
}
# part NAME COMMAND...: counts as one check when it counts nothing itself.
part() {
  local name=$1
  shift
  if "$@"; then count 1 0; else count 0 1; FAILURES+=("$name"); fi
}

# The tests of the drivers make namespaces and start Docker: in the sandbox they meet nobody and leave nothing. What needs
# the package registries, the build, comes first.
unit() {
  local log rc=0
  log=$(mktemp)
  setup/packages.sh run test
  if command -v cargo-nextest >/dev/null; then
    if cargo nextest run --workspace --locked --no-run; then
      tests/sandbox.sh -i "" cargo nextest run --workspace --offline --no-fail-fast --color never 2>&1 | tee "$log" || rc=$?
    else
      rc=1
    fi
    count_from "$log" "$(sed -n 's/.* \([0-9][0-9]*\) passed.*/\1/p' "$log" | tail -n1)" \
      "$(sed -n 's/.* \([0-9][0-9]*\) failed.*/\1/p' "$log" | tail -n1)" "$rc" "unit tests"
  else
    if cargo test --workspace --locked --no-run; then
      tests/sandbox.sh -i "" cargo test --workspace --offline --no-fail-fast 2>&1 | tee "$log" || rc=$?
    else
      rc=1
    fi
    count_from "$log" "$(awk '/^test result:/ { sum += $4 } END { print sum + 0 }' "$log")" \
      "$(awk '/^test result:/ { sum += $6 } END { print sum + 0 }' "$log")" "$rc" "unit tests"
  fi
}

# count_from LOG PASSED FAILED STATUS NAME: a run that failed without a failed test (it did not build) is one failure.
count_from() {
  local passed=${2:-0} failed=${3:-0}
  if [ "$4" != 0 ]; then
    [ "$failed" -gt 0 ] || failed=1
    FAILURES+=("$5")
  fi
  count "${passed:-0}" "$failed"
  rm -f "$1"
}

# build_program SELECTION...: a SAHAB_PROGRAM that is given is tested as it is.
build_program() {
  if [ -n "${SAHAB_PROGRAM:-}" ]; then return 0; fi
  cargo build --locked "$@"
  SAHAB_PROGRAM=$CARGO_TARGET_DIR/debug/sahab
  export SAHAB_PROGRAM
}

e2e() {
  local log rc=0 clients
  setup/packages.sh run clients images test
  clients=$(setup/clients.sh)
  log=$(mktemp)
  tests/sandbox.sh "$clients/bin/pytest" -c tests/e2e/pytest.ini --rootdir tests/e2e --color=no -q "$@" 2>&1 | tee "$log" || rc=$?
  # pytest counts a fixture's fault after a test as an error beside the test that passed.
  local failed errors
  failed=$(sed -n 's/.*\b\([0-9][0-9]*\) failed.*/\1/p' "$log" | tail -n1)
  errors=$(sed -n 's/.*\b\([0-9][0-9]*\) errors\{0,1\} in .*/\1/p' "$log" | tail -n1)
  count_from "$log" "$(sed -n 's/.*\b\([0-9][0-9]*\) passed.*/\1/p' "$log" | tail -n1)" \
    $((${failed:-0} + ${errors:-0})) "$rc" "end-to-end tests"
}

# The listed tests of upstream's suites, the quick ones: see conformance/run.sh.
conformance() {
  local log rc=0
  if ! compgen -G 'conformance/passing/*.txt' >/dev/null; then return 0; fi
  log=$(mktemp)
  conformance/run.sh -f | tee "$log" || rc=$?
  count_from "$log" "$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$log" | tail -n1)" \
    "$(sed -n 's/.* \([0-9]*\) failed, .*/\1/p' "$log" | tail -n1)" "$rc" "conformance"
}

report() {
  local name
  for name in "${FAILURES[@]}"; do say "failed: $name"; done
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
}

setup/rust.sh
setup/packages.sh build
case ${1:-all} in
  all)
    STEP_TOTAL=5
    step "Format, lint, arrows, licences"
    part lint tests/lint.sh
    step "Unit tests"
    unit
    step "Building the program"
    # Together with the tests that were just built: alone it would need its dependencies with other features.
    if build_program --workspace --all-targets; then
      step "End-to-end tests"
      e2e -m "not slow" tests/e2e
      step "Upstream's tests that are known to pass"
      conformance
    else
      count 0 1
      FAILURES+=("build")
    fi
    ;;
  lint) part lint tests/lint.sh ;;
  unit) unit ;;
  conformance) build_program -p sahab && conformance ;;
  e2e)
    shift
    build_program -p sahab
    # Paths as one types them are relative to tests/e2e.
    arguments=()
    for argument in "$@"; do
      if [ -e "tests/e2e/${argument%%::*}" ]; then argument=tests/e2e/$argument; fi
      arguments+=("$argument")
    done
    [ ${#arguments[@]} -gt 0 ] || arguments=(tests/e2e)
    e2e "${arguments[@]}"
    ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
report
