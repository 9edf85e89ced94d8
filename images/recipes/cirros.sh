# shellcheck shell=bash disable=SC2034
# cirros: a stand-in with busybox and curl. The container service's upstream tests run sleep, sh, ping and curl in it.
TAG=cirros:latest
build() {
  make_busybox
  open_root cirros curl
  # Only curl with the libraries it loads is taken from the installed root, over the busybox layer: 60 MB less.
  local into=$WORK/cirros-root library
  mkdir -p "$into/usr/bin" "$into/usr/share/doc/curl"
  cp "$ROOT/usr/bin/curl" "$into/usr/bin/curl"
  cp "$ROOT/usr/share/doc/curl/copyright" "$into/usr/share/doc/curl/"
  for library in $(chroot "$ROOT" ldd /usr/bin/curl | grep -o '/[^ ]*'); do
    mkdir -p "$into$(dirname "$library")"
    cp -L "$ROOT$library" "$into$library"
  done
  close_root cirros
  python3 "$IMAGES_DIR/pack.py" layer "$into" cirros-curl.tar
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh"],"WorkingDir":"/",
    "Labels":{"org.opencontainers.image.description":"stand-in, not CirrOS: Debian busybox-static and curl"}}' \
    busybox.tar cirros-curl.tar
}
