# shellcheck shell=bash disable=SC2034
# busybox: Debian's static busybox and nothing else.
TAG=busybox:latest
build() {
  make_busybox
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh"],"WorkingDir":"/",
    "Labels":{"org.opencontainers.image.description":"busybox from the Debian package busybox-static"}}' busybox.tar
}
