#!/bin/sh
set -eu
case "${1:-}" in -*|*.conf) set -- redis-server "$@";; esac
if [ "${1:-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
  chown redis:redis /data; exec setpriv --reuid redis --regid redis --init-groups "$@" --protected-mode no
fi
exec "$@"
