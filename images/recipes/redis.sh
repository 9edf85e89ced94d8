# shellcheck shell=bash disable=SC2034
# redis: Debian's, with the data directory and the change of user of the official image.
TAG=redis:latest
build() {
  open_root redis redis-server
  mkdir -p "$ROOT/data"
  chown "$(stat -c %u:%g "$ROOT/var/lib/redis")" "$ROOT/data"
  install_file redis/docker-entrypoint.sh usr/local/bin/docker-entrypoint.sh 755
  close_root redis
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Entrypoint":["docker-entrypoint.sh"],"Cmd":["redis-server"],"ExposedPorts":{"6379/tcp":{}},"Volumes":{"/data":{}},
    "WorkingDir":"/data","Labels":{"org.opencontainers.image.description":"redis from Debian"}}' base.tar layer-redis.tar
}
