#!/usr/bin/env bash
# Builds the container images of the examples from Debian 12 packages: no image registry is asked, no engine is needed.
#
#   images/build.sh [-l] [-f] [-n] [-o DIRECTORY] [IMAGE...]
#
#   IMAGE         busybox alpine cirros mysql wordpress nginx redis (all of them when none is named)
#   -l            load them into Docker (DOCKER_HOST is honoured), unless Docker has this very build already
#   -f            with -l: also replace an image of the same name that was not built here (a pulled official one)
#   -n            only print the path of each archive, build nothing
#   -o DIRECTORY  also put the archives (docker-archive format) there as IMAGE.tar
#   WITH_GD=1     (environment) adds php-gd to wordpress: thumbnails, about 45 MB more
#
# Each archive is kept in the cache outside the clone under a hash of its recipe, so that a second run does nothing.
# The same package versions give the same bytes (except mysql, which carries a ready-made data directory). To take newer
# Debian packages, delete the cache's images directory.
set -euo pipefail
IMAGES_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=setup/lib.sh
. "$IMAGES_DIR/../setup/lib.sh"
# shellcheck source=images/lib.sh
. "$IMAGES_DIR/lib.sh"

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
load=no replace=no print_only=no out=
while getopts lfno: option; do
  case $option in
    l) load=yes ;;
    f) replace=yes ;;
    n) print_only=yes ;;
    o) mkdir -p "$OPTARG" && out=$(cd "$OPTARG" && pwd) ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(busybox alpine cirros mysql wordpress nginx redis)

# Covers everything in this directory that an archive is made from.
recipe_hash() {
  local recipe=$IMAGES_DIR/recipes/$1.sh own=()
  [ -e "$recipe" ] || die "no recipe for image '$1'"
  [ ! -d "$IMAGES_DIR/files/$1" ] || mapfile -t own < <(find "$IMAGES_DIR/files/$1" -type f | LC_ALL=C sort)
  { cat "$IMAGES_DIR/lib.sh" "$IMAGES_DIR/pack.py" "$IMAGES_DIR/flatten.py" "$recipe" "${own[@]}"; echo "${WITH_GD:-}"; } |
    sha256sum | cut -c1-16
}

# True when Docker holds the build of this hash under this tag.
loaded() {
  [ "$(docker image inspect -f '{{index .Config.Labels "cloud.sahab.recipe"}}' "$1" 2>/dev/null)" = "$2" ]
}

# True when Docker holds something under this tag that was not built here, which is then not ours to replace.
foreign() {
  local label
  label=$(docker image inspect -f '{{index .Config.Labels "cloud.sahab.recipe"}}' "$1" 2>/dev/null) || return 1
  [ -z "$label" ]
}

WORK=
start_work() {
  [ -z "$WORK" ] || return 0
  need_root
  "$IMAGES_DIR/../setup/packages.sh" images
  mkdir -p "$CACHE_DIR/images"
  WORK=$(mktemp -d "$CACHE_DIR/images/work.XXXXXX")
  trap end_work EXIT
  trap 'exit 130' INT TERM
  cd "$WORK"
  prepare_apt
}
end_work() {
  local mounted
  for mounted in "$WORK"/layer-*/mounted; do
    if mountpoint -q "$mounted" 2>/dev/null; then umount -l "$mounted" || true; fi
  done
  cd /
  rm -rf --one-file-system "$WORK"
}

export DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8
umask 022
for NAME in "${names[@]}"; do
  RECIPE_HASH=$(recipe_hash "$NAME")
  ARCHIVE=$CACHE_DIR/images/$NAME-$RECIPE_HASH.tar
  unset -f build
  # shellcheck source=/dev/null # one of recipes/*.sh: sets TAG and defines build
  . "$IMAGES_DIR/recipes/$NAME.sh"
  if [ "$print_only" = yes ]; then
    printf '%s\n' "$ARCHIVE"
    continue
  fi
  if [ "$load" = yes ] && [ "$replace" = no ] && foreign "$TAG"; then
    say "  $TAG: Docker has another image of this name, kept (-f replaces it)"
    continue
  fi
  if [ ! -s "$ARCHIVE" ]; then
    start_work
    build
    # Archives of older recipes are of no more use.
    find "$CACHE_DIR/images" -maxdepth 1 -name "$NAME-*.tar" ! -path "$ARCHIVE" -delete
  fi
  [ -z "$out" ] || cp --reflink=auto "$ARCHIVE" "$out/$NAME.tar"
  if [ "$load" = yes ] && ! loaded "$TAG" "$RECIPE_HASH"; then
    docker load -q -i "$ARCHIVE" >&2
  fi
done
