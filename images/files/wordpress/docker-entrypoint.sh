#!/bin/sh
# Fills an empty /var/www/html (for instance a fresh volume), writes wp-config.php once, runs the command.
set -eu
case "${1:-}" in -*) set -- apache2-foreground "$@";; esac
if [ "${1:-apache2-foreground}" = apache2-foreground ]; then
  cd /var/www/html
  [ -e index.php ] || [ -e wp-includes/version.php ] || cp -a /usr/src/wordpress/. .
  if [ ! -s wp-config.php ]; then
    s=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    sed "s/@SECRET@/$s/" /usr/src/wp-config.php > wp-config.php; chown www-data:www-data wp-config.php; chmod 640 wp-config.php
  fi
fi
exec "$@"
