#!/usr/bin/env bash
# Runs a command as if on a machine of its own: private network, processes, /run, Docker. What the command starts ends
# with it, and nothing on this machine (a running cloud included) is seen or changed by it.
#
#   tests/sandbox.sh [-i "IMAGE..."] COMMAND...
#
#   -i   example images loaded into the sandbox's Docker (default: all; "" for none)
#
# Inside: Docker at its usual socket; an uplink `uplink0` (198.51.100.2/24, default route) to a network namespace
# `internet` (198.51.100.1) that stands for the outside world; SAHAB_SANDBOX names the scratch directory.
set -euo pipefail
TESTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=setup/lib.sh
. "$TESTS_DIR/../setup/lib.sh"

outside() {
  need_root
  "$PROJECT_DIR/setup/packages.sh" run images
  local scratch rc=0
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/sahab-sandbox.XXXXXX")
  # The images are built out here: a sandbox has no way to the package registries.
  if [ -n "$SANDBOX_IMAGES" ]; then
    # shellcheck disable=SC2086 # a list of names
    "$PROJECT_DIR/images/build.sh" $SANDBOX_IMAGES
  fi
  SAHAB_SANDBOX=$scratch unshare --mount --net --pid --fork --kill-child --mount-proc \
    "${BASH_SOURCE[0]}" --inside "$@" || rc=$?
  # Docker leaves its control groups when it is killed; those of this sandbox are empty now.
  rm -rf --one-file-system "$scratch"
  return "$rc"
}

# /run and /sys as a fresh boot would show them. Control groups stay: mounting sysfs again would hide them.
private_mounts() {
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/cgroup-mounts /run/lock /run/netns
  mount --rbind /sys/fs/cgroup /run/cgroup-mounts
  mount -t sysfs sysfs /sys
  mount --move /run/cgroup-mounts /sys/fs/cgroup
  rmdir /run/cgroup-mounts
  # Names do not resolve in here, and say so at once: the outside world has no server for them.
  printf 'nameserver 198.51.100.1\n' >/run/resolv.conf
  mount --bind /run/resolv.conf /etc/resolv.conf
  local directory
  for directory in /etc/docker /etc/sahab /var/lib/sahab; do
    if [ -d "$directory" ]; then mount -t tmpfs -o mode=755 tmpfs "$directory"; fi
  done
}

outside_world() {
  ip link set lo up
  ip netns add internet
  ip link add uplink0 type veth peer name eth0 netns internet
  ip address add 198.51.100.2/24 dev uplink0
  ip link set uplink0 up
  ip -n internet address add 198.51.100.1/24 dev eth0
  ip -n internet link set lo up
  ip -n internet link set eth0 up
  ip route add default via 198.51.100.1
}

start_docker() {
  unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY
  dockerd --data-root "$SAHAB_SANDBOX/docker" >"$SAHAB_SANDBOX/dockerd.log" 2>&1 &
  local deadline=$((SECONDS + 60))
  until docker version >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { tail -n 20 "$SAHAB_SANDBOX/dockerd.log" >&2; die "Docker did not start in the sandbox"; }
    sleep 0.2
  done
}

# Containers are removed and Docker is asked to stop, so that it takes its mounts and control groups with it; the rest
# ends with the process namespace.
stop_docker() {
  local ids pid
  ids=$(timeout 20 docker ps -aq 2>/dev/null) || ids=
  # shellcheck disable=SC2086 # a list of ids
  [ -z "$ids" ] || timeout 60 docker rm -f -v $ids >/dev/null 2>&1 || true
  pid=$(cat /run/docker.pid 2>/dev/null) || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  local deadline=$((SECONDS + 20))
  while [ -d "/proc/$pid" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
}

inside() {
  private_mounts
  outside_world
  start_docker
  trap stop_docker EXIT
  trap 'exit 130' INT TERM
  if [ -n "$SANDBOX_IMAGES" ]; then
    # shellcheck disable=SC2086 # a list of names
    "$PROJECT_DIR/images/build.sh" -l $SANDBOX_IMAGES >/dev/null 2>&1
  fi
  "$@"
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
else
  SANDBOX_IMAGES="busybox alpine cirros mysql wordpress nginx redis"
  if [ "${1:-}" = -i ]; then
    SANDBOX_IMAGES=$2
    shift 2
  fi
  [ $# -gt 0 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
  export SANDBOX_IMAGES
  outside "$@"
fi
