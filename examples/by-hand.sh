#!/usr/bin/env bash
# The application of examples/wordpress.yaml made by hand with the unmodified `openstack` command, as the thesis does it
# first: two containers on the tenant network flat-lan-1-net in one security group, and a public (floating) address for
# WordPress. Every command is printed before it runs. It checks what it made and removes it at the end.
#
#   examples/by-hand.sh [--keep]
#
#   --keep   leave everything running and print the URL (the next run removes it first)
#
# Needs a running cloud (make demo), root or another reader of its openrc files. Settings by environment:
# SAHAB_STATE_DIR (/var/lib/sahab), IMAGE_DB (mysql:5.7), IMAGE_WORDPRESS (wordpress:latest).
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"

KEEP=no
case ${1:-} in
  --keep) KEEP=yes ;;
  '') ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
IMAGE_DB=${IMAGE_DB:-mysql:5.7}
IMAGE_WORDPRESS=${IMAGE_WORDPRESS:-wordpress:latest}
NETWORK=flat-lan-1-net
PUBLIC=ext-net
GROUP=sg_by_hand
DB=by-hand-db
SITE=by-hand-wordpress

if ! command -v openstack >/dev/null; then PATH=$("$PROJECT_DIR/setup/clients.sh")/bin:$PATH; fi
[ -r "$STATE_DIR/demo-openrc" ] || die "no cloud found in $STATE_DIR: start one with 'make demo'"
# shellcheck source=/dev/null # written by the cloud
as_demo() { . "$STATE_DIR/demo-openrc"; }
# shellcheck source=/dev/null
as_admin() { . "$STATE_DIR/openrc"; }

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# Prints a command as one would type it, and runs it.
run() {
  printf '$'; printf ' %q' "$@"; printf '\n'
  "$@"
}
# The same, when only what it prints is wanted.
ask() {
  { printf '$'; printf ' %q' "$@"; printf '\n'; } >&2
  "$@"
}

container_status() { openstack appcontainer show -f value -c status "$1"; }
wait_running() {
  local limit=$((SECONDS + 120)) status=
  until status=$(container_status "$1") && [ "$status" = Running ]; do
    # A container that has ended already will not run any more: its log says why.
    [ "$status" != Stopped ] || die "$1 stopped: $(openstack appcontainer logs "$1")"
    [ "$status" != Error ] || die "$1: $(openstack appcontainer show -f value -c status_reason "$1")"
    [ $SECONDS -lt $limit ] || die "$1 is not running after two minutes: $status"
    sleep 0.5
  done
  say "  $1 is Running"
}
container_gone() { ! openstack appcontainer show "$1" >/dev/null 2>&1; }
port_open() { timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }
port_closed() { ! port_open "$1" "$2"; }
page_answers() { [ "$(curl -s --noproxy '*' -m 5 -o /dev/null -w '%{http_code}' "$1")" = 302 ]; }

# Removes what this script makes, whether all of it is there or nothing.
clean_up() {
  local name id
  for name in "$SITE" "$DB"; do
    if openstack appcontainer show "$name" >/dev/null 2>&1; then run openstack appcontainer delete --stop "$name"; fi
  done
  for name in "$SITE" "$DB"; do wait_for 60 "removal of $name" container_gone "$name"; done
  for id in $(openstack floating ip list -f json --long | jq -r '.[] | select(.Description == "by-hand") | .ID'); do
    run openstack floating ip delete "$id"
  done
  if openstack security group show "$GROUP" >/dev/null 2>&1; then run openstack security group delete "$GROUP"; fi
}

title "The container service and what there is to build on"
as_admin
run openstack appcontainer service list
as_demo
run openstack network list
clean_up

title "A security group that lets in ping, 22, 80 and 3306"
run openstack security group create "$GROUP" -f value -c id
run openstack security group rule create --protocol icmp "$GROUP" -f value -c id
for port in 22 80; do
  run openstack security group rule create --protocol tcp --dst-port $port "$GROUP" -f value -c id
done
DB_RULE=$(ask openstack security group rule create --protocol tcp --dst-port 3306 "$GROUP" -f value -c id)

title "The database"
run openstack appcontainer run -f value -c uuid --name "$DB" --net network=$NETWORK --security-group "$GROUP" \
  --environment MYSQL_ROOT_PASSWORD=rootpass --environment MYSQL_DATABASE=wordpress "$IMAGE_DB"
wait_running "$DB"
DB_ADDRESS=$(ask openstack appcontainer show -f value -c addresses "$DB" | cut -d, -f1)
say "  its address in $NETWORK: $DB_ADDRESS"

title "WordPress"
run openstack appcontainer run -f value -c uuid --name "$SITE" --net network=$NETWORK --security-group "$GROUP" \
  --environment WORDPRESS_DB_HOST="$DB_ADDRESS" --environment WORDPRESS_DB_USER=root \
  --environment WORDPRESS_DB_PASSWORD=rootpass "$IMAGE_WORDPRESS"
wait_running "$SITE"
SITE_ADDRESS=$(ask openstack appcontainer show -f value -c addresses "$SITE" | cut -d, -f1)

title "A public address for each"
# public_address ADDRESS: a floating IP of ext-net on the port that has this address; prints the public address.
public_address() {
  local port id
  port=$(ask openstack port list --fixed-ip "ip-address=$1" -f value -c ID)
  id=$(ask openstack floating ip create --description by-hand $PUBLIC -f value -c id)
  ask openstack floating ip set --port "$port" "$id"
  openstack floating ip show -f value -c floating_ip_address "$id"
}
SITE_PUBLIC=$(public_address "$SITE_ADDRESS")
DB_PUBLIC=$(public_address "$DB_ADDRESS")

title "What works"
wait_for 90 "the page at http://$SITE_PUBLIC/" page_answers "http://$SITE_PUBLIC/" || die "the page does not answer"
run curl -sS --noproxy '*' -m 10 -o /dev/null -w '  http://%{remote_ip}/ answers %{http_code}, leads to %{redirect_url}\n' "http://$SITE_PUBLIC/"
run ping -c 1 -W 3 "$SITE_PUBLIC" | sed -n 's/^/  /;2p'
wait_for 30 "port 3306 of $DB_PUBLIC" port_open "$DB_PUBLIC" 3306 || die "port 3306 of $DB_PUBLIC is closed although the group opens it"
say "  port 3306 of $DB_PUBLIC is open"

title "The database closed to the outside: its rule is deleted"
run openstack security group rule delete "$DB_RULE"
wait_for 15 "closing of port 3306" port_closed "$DB_PUBLIC" 3306 || die "port 3306 of $DB_PUBLIC still answers without a rule"
say "  port 3306 of $DB_PUBLIC is refused"
# WordPress is in the same group: members of the group keep their way to the database.
run openstack security group rule create --protocol tcp --dst-port 3306 --remote-group "$GROUP" "$GROUP" -f value -c id
wait_for 60 "the page" page_answers "http://$SITE_PUBLIC/" || die "the page does not answer through the rule for the group's members"
port_closed "$DB_PUBLIC" 3306 || die "a rule for members of the group opened port 3306 to the outside"
say "  the page answers, the database is reachable for WordPress only"

if [ "$KEEP" = yes ]; then
  title "Done: http://$SITE_PUBLIC/   (left running; run this script again to remove it)"
else
  title "Cleaning up"
  clean_up
  title "Done"
fi
