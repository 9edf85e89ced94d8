#!/bin/sh
# shellcheck disable=SC1090 # the user's own scripts are sourced
# Variables: MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD, MYSQL_ROOT_HOST,
# MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD; each also as NAME_FILE. First start only.
set -eu
say() { echo "[entrypoint] $*"; }
die() { echo "[entrypoint] ERROR: $*" >&2; exit 1; }
out() { printf '%s\n' "$*"; }   # not echo: it would eat backslashes
case "${1:-mysqld}" in -*) set -- mysqld "$@";; esac
if [ $# = 0 ]; then set -- mysqld; fi
case "$1" in mysqld|mariadbd) ;; *) exec "$@";; esac
for a in "$@"; do case "$a" in --help|--version|-V|-\?) exec "$@";; esac; done
D=/var/lib/mysql
for a in "$@"; do case "$a" in --datadir=*) D=${a#--datadir=};; esac; done
env_or_file() {
  eval "v=\${$1:-} f=\${${1}_FILE:-}"
  if [ -n "$f" ]; then [ -z "$v" ] || die "$1 and ${1}_FILE are both set"; v=$(cat "$f"); fi
  eval "$1=\$v"
}
q() { printf %s "$1" | sed "s/\\\\/\\\\\\\\/g;s/'/''/g"; }
# shellcheck disable=SC2016 # backticks quote names in SQL
b() { printf %s "$1" | sed 's/`/``/g'; }
mkdir -p "$D" /run/mysqld; chown mysql:mysql /run/mysqld; rm -f /run/mysqld/init.sql
[ "$(stat -c %u "$D")" = 999 ] || chown mysql:mysql "$D"
if [ ! -d "$D/mysql" ]; then
  for n in MYSQL_ROOT_PASSWORD MYSQL_ROOT_HOST MYSQL_DATABASE MYSQL_USER MYSQL_PASSWORD; do env_or_file $n; done
  if [ -z "$MYSQL_ROOT_PASSWORD" ] && [ -n "${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
    MYSQL_ROOT_PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n'); say "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
  fi
  [ -n "$MYSQL_ROOT_PASSWORD" ] || [ -n "${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ] ||
    die "database is uninitialized and no password option is set: set one of MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD"
  [ "$MYSQL_USER" != root ] || die "MYSQL_USER must not be root"
  say "creating data directory"
  tar -C "$D" --numeric-owner -xzf /usr/local/share/mysql-seed.tar.gz
  p=$(q "$MYSQL_ROOT_PASSWORD"); h=$(q "${MYSQL_ROOT_HOST:-%}")
  (umask 077; {
    out "SET SESSION sql_log_bin=0;"
    out "ALTER USER 'root'@'localhost' IDENTIFIED BY '$p';"
    if [ "$h" != localhost ]; then
      out "CREATE OR REPLACE USER 'root'@'$h' IDENTIFIED BY '$p';"
      out "GRANT ALL ON *.* TO 'root'@'$h' WITH GRANT OPTION;"
    fi
    if [ -n "$MYSQL_DATABASE" ]; then out "CREATE DATABASE IF NOT EXISTS \`$(b "$MYSQL_DATABASE")\`;"; fi
    if [ -n "$MYSQL_USER" ] && [ -n "$MYSQL_PASSWORD" ]; then
      out "CREATE OR REPLACE USER '$(q "$MYSQL_USER")'@'%' IDENTIFIED BY '$(q "$MYSQL_PASSWORD")';"
      if [ -n "$MYSQL_DATABASE" ]; then out "GRANT ALL ON \`$(b "$MYSQL_DATABASE" | sed 's/[_%]/\\&/g')\`.* TO '$(q "$MYSQL_USER")'@'%';"; fi
    fi
  } > /run/mysqld/init.sql); chown mysql:mysql /run/mysqld/init.sql
  set -- "$@" --init-file=/run/mysqld/init.sql
  if [ -n "$(ls -A /docker-entrypoint-initdb.d 2>/dev/null)" ]; then
    "$@" --skip-networking & pid=$!
    M="mysql --protocol=socket -uroot"; export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"
    i=0; until $M -e 'SELECT 1' >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 600 ] || die "server did not start"; kill -0 $pid || die "server exited"; sleep 0.1; done
    for f in /docker-entrypoint-initdb.d/*; do case "$f" in
      *.sh) say "running $f"; if [ -x "$f" ]; then "$f"; else . "$f"; fi;;
      *.sql) say "running $f"; $M ${MYSQL_DATABASE:+-D "$MYSQL_DATABASE"} < "$f";;
      *.sql.gz) say "running $f"; gzip -dc "$f" | $M ${MYSQL_DATABASE:+-D "$MYSQL_DATABASE"};;
      *) say "ignoring $f";;
    esac; done
    kill -TERM $pid; wait $pid || true; unset MYSQL_PWD
    n=$#; i=0; for a in "$@"; do i=$((i+1)); [ $i = 1 ] && set --; [ $i = $n ] || set -- "$@" "$a"; done
    rm -f /run/mysqld/init.sql
  fi
fi
exec "$@"
