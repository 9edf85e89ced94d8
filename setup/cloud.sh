#!/usr/bin/env bash
# The cloud of `make demo`: start it, stop it, remove everything it made.
#
#   setup/cloud.sh start    starts the built program in the background and waits until it is ready
#   setup/cloud.sh stop     stops the program; containers keep running, a later start finds them
#   setup/cloud.sh purge    stops it and removes every container, network, rule and file of it, also the Docker daemon
#                           and nothing else when setup/docker.sh started that
#
# The program that runs is a copy in the state directory, so that stop and purge work without a build.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root

DEMO_DIR=$STATE_DIR/demo
PROGRAM=$DEMO_DIR/sahab
PIDFILE=$DEMO_DIR/sahab.pid
LOG=$DEMO_DIR/sahab.log
LISTEN=${SAHAB_SERVER_LISTEN:-127.0.0.1:5000}
ready() { curl -fsS --noproxy '*' -m 5 "http://$LISTEN/healthcheck"; }

start() {
  use_build_cache
  local built=$CARGO_TARGET_DIR/release/sahab
  [ -x "$built" ] || die "the program is not built: cargo build --release -p sahab (make demo does it)"
  (umask 077 && mkdir -p "$DEMO_DIR")
  if running_pid "$PIDFILE" >/dev/null && ready >/dev/null 2>&1; then
    if cmp -s "$built" "$PROGRAM"; then
      say "  the cloud runs already, process $(running_pid "$PIDFILE")"
      return 0
    fi
    say "  the cloud runs an older build: restarting it, containers keep running"
  elif ready >/dev/null 2>&1; then
    die "something else answers at http://$LISTEN: stop it, or choose another address with SAHAB_SERVER_LISTEN=127.0.0.1:5001"
  fi
  stop_background "$PIDFILE"
  install -m 755 "$built" "$PROGRAM"
  start_background "$PIDFILE" "$LOG" "$PROGRAM" up --state-dir "$STATE_DIR" --listen "$LISTEN"
  started_or_dead() { ready || ! running_pid "$PIDFILE"; }
  if ! wait_for 60 "the cloud" started_or_dead || ! ready >/dev/null 2>&1; then
    tail -n 20 "$LOG" >&2
    die "the cloud does not start; its log is above ($LOG). 'sahab doctor' may know why: $PROGRAM doctor"
  fi
  say "  ready at http://$LISTEN, process $(running_pid "$PIDFILE"), log $LOG"
}

purge() {
  local program record
  stop_background "$PIDFILE"
  record=$(mktemp)
  program=$(mktemp)
  if [ -x "$PROGRAM" ]; then
    # Only with Docker running can its containers and networks be removed.
    "$PROJECT_DIR/setup/docker.sh" start
    # The state directory goes with the purge, and with it the program and the record of the Docker daemon.
    cp "$DEMO_DIR/dockerd.pid" "$record" 2>/dev/null || true
    install -m 755 "$PROGRAM" "$program"
    "$program" purge --yes --state-dir "$STATE_DIR" || die "purge did not finish, see above; run it again"
  elif [ -e "$STATE_DIR/sahab.db" ]; then
    die "the cloud in $STATE_DIR was not started by make demo: 'sahab purge --yes' removes it"
  fi
  if running_pid "$record" >/dev/null; then say "  stopping the Docker daemon that was started here"; fi
  stop_background "$record" 30
  rm -rf --one-file-system "$STATE_DIR" "$program"
  say "removed everything of the cloud from Docker, the kernel and $STATE_DIR."
  say "Left: installed Debian packages, the caches in $CACHE_DIR, Docker's images."
}

case ${1:-} in
  start) start ;;
  stop)
    stop_background "$PIDFILE"
    say "stopped; the containers keep running. 'make demo' starts it again, 'make purge' removes everything."
    ;;
  purge) purge ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
