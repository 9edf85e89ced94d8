# shellcheck shell=bash disable=SC2034
# nginx: Debian's, logging to the container's output, serving /usr/share/nginx/html like the official image.
TAG=nginx:latest
build() {
  open_root nginx nginx
  rm -rf "$ROOT"/etc/nginx/nginx.conf "$ROOT"/etc/nginx/sites-* "$ROOT"/etc/nginx/modules-*
  install_file nginx/nginx.conf etc/nginx/nginx.conf
  install_file nginx/default.conf etc/nginx/conf.d/default.conf
  mkdir -p "$ROOT/var/log/nginx"
  close_root nginx
  write_image '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd":["nginx","-e","stderr","-g","daemon off;"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGQUIT",
    "Labels":{"org.opencontainers.image.description":"nginx from Debian"}}' base.tar layer-nginx.tar
}
