#!/usr/bin/env bash
# From a bare Debian 12 machine to WordPress in a browser: installs what is missing, builds, starts the cloud, deploys
# examples/wordpress.yaml and prints its URL. Safe to run again: what is there already is kept.
#
# SAHAB_EXAMPLE_IMAGES=official pulls mysql and wordpress from their registry instead of building them from Debian packages.
# SAHAB_STATE_DIR (/var/lib/sahab), SAHAB_SERVER_LISTEN (127.0.0.1:5000) and SAHAB_CACHE_DIR say where things are.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root
cd "$PROJECT_DIR"
STEP_TOTAL=7
STACK=wordpress
use_build_cache

step "Packages and the Rust toolchain"
setup/rust.sh
setup/packages.sh run build clients images

step "Docker"
setup/docker.sh start

step "OpenStack clients, in an environment of their own"
CLIENTS=$(setup/clients.sh)
say "  $CLIENTS"

step "Building the program (release) and, beside it, the images of the example"
IMAGES_LOG=$(mktemp)
case ${SAHAB_EXAMPLE_IMAGES:-debian} in
  debian) images/build.sh -l mysql wordpress nginx cirros ;;
  # Nothing is built: the first container of each asks its registry.
  official) echo "  the official images, from their registry" ;;
  *) die "SAHAB_EXAMPLE_IMAGES is debian or official" ;;
esac >"$IMAGES_LOG" 2>&1 &
IMAGES_JOB=$!
trap 'rm -f "$IMAGES_LOG"' EXIT
cargo build --release --locked -p sahab
wait "$IMAGES_JOB" || { cat "$IMAGES_LOG" >&2; die "the images could not be built"; }
cat "$IMAGES_LOG" >&2

step "Starting the cloud"
setup/cloud.sh start

step "Deploying examples/wordpress.yaml as the user demo"
PATH=$CLIENTS/bin:$PATH
# shellcheck source=/dev/null # written by the cloud
. "$STATE_DIR/demo-openrc"
stack_status() { openstack stack show -f value -c stack_status "$STACK" 2>/dev/null || true; }
status=$(stack_status)
if [[ $status == *_FAILED ]]; then
  say "  an earlier deployment ended as $status, removing it first"
  openstack stack delete --yes --wait "$STACK"
  status=
fi
case $status in
  '') openstack stack create -t examples/wordpress.yaml --wait "$STACK" >&2 ;;
  *_IN_PROGRESS) wait_for 300 "the stack" bash -c "openstack stack show -f value -c stack_status $STACK | grep -q COMPLETE" ;;
  *) say "  the stack is there: $status" ;;
esac
status=$(stack_status)
[[ $status == *_COMPLETE ]] || {
  openstack stack event list --nested-depth 1 "$STACK" >&2 || true
  die "the stack is $status: the events above say why"
}

step "Waiting until the page answers"
ADDRESS=$(openstack stack output show -f value -c output_value "$STACK" url)
URL=http://$ADDRESS/
answers() { [ "$(curl -s --noproxy '*' -m 5 -o /dev/null -w '%{http_code}' "$URL")" = 302 ] || curl -fs --noproxy '*' -m 5 "$URL"; }
wait_for 120 "$URL" answers || die "the page does not answer; look at: openstack appcontainer logs"

cat <<DONE

WordPress is at   $URL     (after $SECONDS s)

Use the cloud:
    export PATH=$CLIENTS/bin:\$PATH
    . $STATE_DIR/demo-openrc               # as the user demo; $STATE_DIR/openrc is the administrator
    openstack stack list
    openstack appcontainer list
The same application by hand, step by step:   examples/by-hand.sh
Log of the cloud:                             $STATE_DIR/demo/sahab.log
Stop it (containers keep running):            make stop
Remove everything of it from this machine:    make purge
DONE
