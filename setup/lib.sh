# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# Shared by every script of the project: where things are kept, how progress is shown, how packages are installed.
# Sourced, never run. A caller sets `set -euo pipefail` itself.

PROJECT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Everything that is expensive and can be made again lies outside the clone: a fresh clone finds it.
CACHE_DIR=${SAHAB_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sahab}
STATE_DIR=${SAHAB_STATE_DIR:-/var/lib/sahab}

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "run this as root (the cloud makes network namespaces and starts Docker)"; }

# Numbered steps with the time since the start: step_total is set once, step announces the next one.
STEP_NUMBER=0
STEP_TOTAL=${STEP_TOTAL:-0}
step() {
  STEP_NUMBER=$((STEP_NUMBER + 1))
  printf '\n[%d/%d] %s  (%d s so far)\n' "$STEP_NUMBER" "$STEP_TOTAL" "$*" "$SECONDS" >&2
}

# Package mirrors fail now and then: five tries, with a longer pause each time.
retry() {
  local n
  for n in 1 2 3 4 5; do
    if "$@"; then return 0; fi
    sleep $((n * 2))
  done
  return 1
}

# Runs a command quietly: its output is shown only when it fails.
quietly() {
  local log rc=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || rc=$?
  if [ "$rc" != 0 ]; then
    tail -n 40 "$log" >&2
    say "failed ($rc): $*"
  fi
  rm -f "$log"
  return "$rc"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive retry apt-get -qq -y \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=5 -o Dpkg::Use-Pty=false "$@"
}

package_installed() {
  local state
  # The value is captured first: grep -q in a pipe would end the writer early, which pipefail counts as a failure.
  # shellcheck disable=SC2016 # the dollar belongs to dpkg-query
  state=$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) || return 1
  [ "$state" = installed ]
}

# Installs those of the named Debian packages that are missing; does nothing, and asks no registry, when none is.
apt_install() {
  local name missing=()
  for name in "$@"; do
    package_installed "$name" || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return 0
  need_root
  say "  installing: ${missing[*]}"
  # One source may fail while those that matter answer; the install below is the judge.
  quietly apt_get update || say "  a package source did not answer, going on"
  quietly apt_get install --no-install-recommends "${missing[@]}"
}

# The hash of files by content, so that a cache entry changes when, and only when, what made it changes.
content_hash() { cat "$@" | sha256sum | cut -c1-16; }

# Cargo's results outside the clone too, so that a clean clone builds only the project's own crates. A developer's own
# CARGO_TARGET_DIR wins.
use_build_cache() { export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${SAHAB_BUILD_CACHE:-$CACHE_DIR/target}}; }

# ---- Background processes that are ended by exactly the one who started them ----------------------------------------
# A pid file holds the process id and its start time, so that a reused id is never mistaken for ours.

process_start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# start_background PIDFILE LOGFILE COMMAND...: detached from this shell and its terminal.
start_background() {
  local pidfile=$1 log=$2 pid
  shift 2
  setsid nohup "$@" >>"$log" 2>&1 </dev/null &
  pid=$!
  printf '%s %s\n' "$pid" "$(process_start_time "$pid")" >"$pidfile"
}

# Prints the process id when the process of the pid file is still the one that was started.
running_pid() {
  local pid started
  read -r pid started 2>/dev/null <"$1" || return 1
  [ -n "$started" ] && [ "$(process_start_time "$pid")" = "$started" ] || return 1
  printf '%s\n' "$pid"
}

# stop_background PIDFILE [SECONDS]: SIGTERM, then SIGKILL when the time is up. Nothing happens when it does not run.
stop_background() {
  local pid
  if pid=$(running_pid "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    local deadline=$((SECONDS + ${2:-15}))
    while running_pid "$1" >/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
    if running_pid "$1" >/dev/null; then
      say "  process $pid did not stop in ${2:-15} s, killing it"
      kill -KILL "$pid" 2>/dev/null || true
    fi
  fi
  rm -f "$1"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds, with a dot for every five seconds.
wait_for() {
  local limit=$1 what=$2 begun=$SECONDS dots=0
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $((SECONDS - begun)) -ge "$limit" ]; then
      [ "$dots" = 0 ] || printf '\n' >&2
      say "  $what: not after $limit s"
      return 1
    fi
    sleep 0.25
    if [ $(((SECONDS - begun) / 5)) -gt "$dots" ]; then
      dots=$((dots + 1))
      printf '.' >&2
    fi
  done
  [ "$dots" = 0 ] || printf '\n' >&2
}

# ---- Private Python environments ------------------------------------------------------------------------------------

# Debian's own python3 first: a version manager's python may lack venv. The pins need 3.11.
pick_python() {
  local candidate
  for candidate in ${PYTHON:-} /usr/bin/python3 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

# python_environment NAME REQUIREMENTS CONSTRAINTS: makes the environment when it is not there, prints its directory.
# It lies outside the clone under a name made of the pins: made once, used by every clone.
python_environment() {
  local name=$1 requirements=$2 constraints=$3 python version venv
  if ! python=$(pick_python); then
    "$PROJECT_DIR/setup/packages.sh" clients
    python=$(pick_python) || die "Python 3.11 or newer with the venv module is needed"
  fi
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  venv=$CACHE_DIR/$name-py$version-$(content_hash "$requirements" "$constraints")
  if [ ! -e "$venv/.complete" ]; then
    mkdir -p "$CACHE_DIR"
    # Two runs at once must not fill the same directory.
    exec 9>"$venv.lock"
    flock 9
    if [ ! -e "$venv/.complete" ]; then
      say "  installing the Python environment '$name' (once, a minute or two)"
      rm -rf "$venv"
      "$python" -m venv "$venv"
      quietly retry "$venv/bin/pip" install -q --disable-pip-version-check --no-input -r "$requirements" -c "$constraints"
      # Compiled once here rather than at every start of every command, also for a reader who may not write here.
      "$venv/bin/python" -m compileall -q "$venv/lib" >/dev/null 2>&1 || true
      touch "$venv/.complete"
    fi
    exec 9>&-
  fi
  printf '%s\n' "$venv"
}
