#!/usr/bin/env bash
# Starts Docker when none answers, or stops the one that was started here.
#
#   setup/docker.sh start|stop
#
# A daemon that answers already, and a DOCKER_HOST that is set, are left alone. On a machine with systemd its service is
# started; else dockerd is started by hand, and remembered so that `stop` ends exactly this process.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DEMO_DIR=$STATE_DIR/demo
PIDFILE=$DEMO_DIR/dockerd.pid
LOG=$DEMO_DIR/dockerd.log
answers() { timeout 10 docker version; }

case ${1:-} in
  start)
    if answers >/dev/null 2>&1; then
      say "  Docker $(docker version -f '{{.Server.Version}}') answers"
      exit 0
    fi
    [ -z "${DOCKER_HOST:-}" ] || die "no Docker answers at DOCKER_HOST=$DOCKER_HOST"
    need_root
    (umask 077 && mkdir -p "$DEMO_DIR")
    if [ -d /run/systemd/system ]; then
      systemctl start docker
    elif [ -e /run/docker.pid ] && [ -d "/proc/$(cat /run/docker.pid)" ]; then
      say "  a Docker daemon is starting already (its package's own doing)"
    else
      # The pid file of a daemon that was killed would keep the new one from starting.
      rm -f /run/docker.pid
      start_background "$PIDFILE" "$LOG" dockerd
    fi
    if ! wait_for 60 "Docker" answers; then
      [ ! -e "$LOG" ] || tail -n 20 "$LOG" >&2
      die "Docker does not start; its log is above ($LOG)"
    fi
    say "  started Docker $(docker version -f '{{.Server.Version}}')"
    ;;
  stop)
    if running_pid "$PIDFILE" >/dev/null; then say "  stopping the Docker daemon that was started here"; fi
    stop_background "$PIDFILE" 30
    ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
