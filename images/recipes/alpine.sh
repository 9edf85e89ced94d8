# shellcheck shell=bash disable=SC2034
# alpine: a stand-in with busybox, like the real one; there is no apk in it.
TAG=alpine:latest
build() {
  make_busybox
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh"],"WorkingDir":"/",
    "Labels":{"org.opencontainers.image.description":"stand-in, not Alpine Linux: Debian busybox-static, no apk"}}' busybox.tar
}
