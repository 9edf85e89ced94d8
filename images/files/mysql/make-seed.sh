#!/bin/sh
# Runs inside the image root while it is built: an empty data directory as a compressed archive.
set -eu
mariadb-install-db --no-defaults --user=mysql --datadir=/seed --skip-test-db --force --skip-name-resolve \
  --auth-root-authentication-method=normal --innodb-log-file-size=16M --character-set-server=utf8mb4
# Only root@localhost stays, without a password: the entry point gives it one at the first start.
printf '%s\n' 'USE mysql;' "DELETE FROM global_priv WHERE User='' OR (User='root' AND Host<>'localhost');" |
  mariadbd --no-defaults --user=mysql --datadir=/seed --bootstrap --innodb-log-file-size=16M --innodb-fast-shutdown=0
rm -f /seed/*.pid /seed/*.err /seed/ib_buffer_pool
cd /seed
tar --numeric-owner -S -cf - . | gzip -n9 >/usr/local/share/mysql-seed.tar.gz
