#!/usr/bin/env bash
# Installs the Debian packages that are missing.
#
#   setup/packages.sh GROUP...
#
#   run      what the running cloud needs: Docker, nftables, network tools
#   build    what compiling needs (Rust itself: see setup/rust.sh)
#   clients  what the private Python environment of the OpenStack clients needs
#   images   what building the example images needs
#   lint     what `make lint` needs
#   test     what the tests of the kernel and of Docker need
#   bench    load generators of `make bench`
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -gt 0 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
wanted=()
for group in "$@"; do
  case $group in
    run) wanted+=(docker.io nftables iproute2 conntrack iptables procps jq curl ca-certificates) ;;
    build) wanted+=(build-essential pkg-config) ;;
    clients) wanted+=(python3 python3-venv) ;;
    images) wanted+=(mmdebstrap python3 mount) ;;
    lint) wanted+=(shellcheck jq python3) ;;
    test) wanted+=(busybox-static iputils-ping python3) ;;
    bench) wanted+=(wrk iperf3 python3) ;;
    *) die "no package group '$group'" ;;
  esac
done
# A docker that did not come from Debian's package (docker-ce, podman-docker) is left alone.
if command -v dockerd >/dev/null && ! package_installed docker.io; then
  kept=()
  for name in "${wanted[@]}"; do [ "$name" = docker.io ] || kept+=("$name"); done
  wanted=("${kept[@]}")
fi
apt_install "${wanted[@]}"
