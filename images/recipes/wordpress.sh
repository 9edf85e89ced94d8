# shellcheck shell=bash disable=SC2034
# wordpress: Debian's WordPress on apache2 with mod_php, with the environment variables of the official image.
TAG=wordpress:latest
build() {
  open_root wordpress apache2-bin libapache2-mod-php8.2 php8.2-mysql php8.2-xml php8.2-curl php8.2-mbstring \
    ca-certificates ${WITH_GD:+php8.2-gd}
  # apache2-bin wants perl for tools that the image does not use; perl-base stays.
  dpkg --root="$ROOT" --force-depends --purge perl perl-modules-5.36 libperl5.36 libgdbm-compat4 libgdbm6 \
    >"$WORK/wordpress-perl.log" 2>&1 || true
  wordpress_files
  wordpress_server
  local version
  version=$(dpkg-deb -f "$(find apt/cache/archives -name 'wordpress_*.deb' | head -n1)" Version)
  close_root wordpress
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","LANG=C.UTF-8"],
    "Entrypoint":["docker-entrypoint.sh"],"Cmd":["apache2-foreground"],"ExposedPorts":{"80/tcp":{}},
    "WorkingDir":"/var/www/html","StopSignal":"SIGWINCH",
    "Labels":{"org.opencontainers.image.description":"WordPress '"$version"' from Debian on apache2 and PHP 8.2"}}' \
    base.tar layer-wordpress.tar
}

wordpress_files() {
  say "  wordpress: files"
  local source=$ROOT/usr/src/wordpress packages=$WORK/wordpress-packages
  unpack "$packages" wordpress wordpress-theme-twentytwentythree libjs-cropper libjs-underscore php-getid3
  mkdir -p "$ROOT/usr/src" "$ROOT/var/www/html" "$ROOT/usr/share/doc/wordpress"
  python3 "$IMAGES_DIR/flatten.py" "$packages" /usr/share/wordpress "$source"
  python3 "$IMAGES_DIR/flatten.py" "$packages" /var/lib/wordpress/wp-content "$source/wp-content"
  ln -s /etc/ssl/certs/ca-certificates.crt "$source/wp-includes/certificates/ca-bundle.crt"
  rm -f "$source/wp-config.php" "$source/wp-config-sample.php"
  mkdir -p "$source"/wp-content/{plugins,themes,uploads,upgrade}
  cp "$packages/usr/share/doc/wordpress/copyright" "$ROOT/usr/share/doc/wordpress/"
  install_file wordpress/wp-config.php usr/src/wp-config.php
  chown -R 33:33 "$source"
  # Hard links: the copy in the document root costs nothing; the one in /usr/src fills an empty volume.
  cp -al "$source/." "$ROOT/var/www/html/"
  chown 33:33 "$ROOT/var/www/html"
}

wordpress_server() {
  rm -rf "$ROOT"/etc/apache2/*
  install_file wordpress/httpd.conf etc/apache2/httpd.conf
  install_file wordpress/apache2-foreground usr/local/bin/apache2-foreground 755
  install_file wordpress/docker-entrypoint.sh usr/local/bin/docker-entrypoint.sh 755
  printf 'upload_max_filesize=64M\npost_max_size=64M\nexpose_php=Off\nopcache.revalidate_freq=2\n' \
    >"$ROOT/etc/php/8.2/apache2/conf.d/90-image.ini"
}
