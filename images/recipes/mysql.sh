# shellcheck shell=bash disable=SC2034
# mysql:5.7: MariaDB 10.11 with the environment variables, paths and entry point of the official image.
TAG=mysql:5.7
build() {
  open_root mysql mariadb-server-core mariadb-client-core
  add_user mysql 999 /var/lib/mysql
  mkdir -p "$ROOT"/{docker-entrypoint-initdb.d,var/lib/mysql,run/mysqld,etc/mysql/conf.d,usr/local/share,usr/local/bin}
  chown 999:999 "$ROOT/var/lib/mysql"
  mysql_names
  # my.cnf is an absolute symbolic link in the package: writing through it would write to this machine.
  rm -rf "$ROOT"/etc/mysql/my.cnf "$ROOT"/etc/mysql/mariadb*
  install_file mysql/my.cnf etc/mysql/my.cnf
  mysql_seed
  install_file mysql/docker-entrypoint.sh usr/local/bin/docker-entrypoint.sh 755
  local version
  version=$(dpkg-query --admindir="$ROOT/var/lib/dpkg" -W -f '${Version}' mariadb-server-core)
  close_root mysql
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","LANG=C.UTF-8"],
    "Entrypoint":["docker-entrypoint.sh"],"Cmd":["mysqld"],"ExposedPorts":{"3306/tcp":{}},"Volumes":{"/var/lib/mysql":{}},
    "Labels":{"org.opencontainers.image.description":"stand-in for mysql:5.7, really MariaDB '"$version"' from Debian"}}' \
    base.tar layer-mysql.tar
}

# The commands under the names that people type for MySQL.
mysql_names() {
  local pair
  for pair in mysql:mariadb mysqld:mariadbd mysqladmin:mariadb-admin; do
    [ -e "$ROOT/usr/bin/${pair%%:*}" ] || [ -e "$ROOT/usr/sbin/${pair%%:*}" ] ||
      ln -s "${pair#*:}" "$ROOT/usr/bin/${pair%%:*}"
  done
  if [ -e "$ROOT/usr/bin/mysqld" ] && [ ! -e "$ROOT/usr/bin/mariadbd" ]; then
    ln -sf ../sbin/mariadbd "$ROOT/usr/bin/mysqld"
  fi
}

# A data directory made at build time: a first start unpacks it in half a second instead of making it in several.
mysql_seed() {
  say "  mysql: data directory"
  local device
  for device in null zero urandom random; do
    [ -c "$ROOT/dev/$device" ] || { rm -f "$ROOT/dev/$device"; cp -a "/dev/$device" "$ROOT/dev/$device"; }
  done
  mkdir -p "$ROOT/seed"
  install_file mysql/make-seed.sh tmp/make-seed.sh 755
  # The name of this machine would be written into the data.
  # shellcheck disable=SC2016 # $0 belongs to the inner shell
  quietly unshare --uts sh -c 'hostname localhost; exec chroot "$0" /tmp/make-seed.sh' "$ROOT"
  rm -rf "$ROOT/seed" "$ROOT/tmp/make-seed.sh"
}
