"""Attacks, each written out: injection through names and values, and the container's surroundings. Who may do what is in test_access,
templates are in test_templates, load in test_flood, packets in test_dataplane."""
import json
import os
import socket
import stat
import threading
import urllib.parse

import pytest

from support import host, outside as world, wait
from support.accounts import unique
from support.containers import remove

# ---- secrets ----

def test_no_secret_in_the_log(cloud, admin):
    user = admin.new_project()
    try:
        token = user.token()
        log = cloud.log()
        for secret in (user.settings["OS_PASSWORD"], admin.settings["OS_PASSWORD"], token, admin.token()):
            assert secret not in log
    finally:
        admin.drop_project(user)


# ---- injection through names ----

AWKWARD = ["a\nb", "a\r\nX-Injected: yes", "$(touch /tmp/owned)", "`touch /tmp/owned`", "'; touch /tmp/owned; '", "\" ; flush ruleset ; \"",
           "{ } drop", "a\x00b", "../../etc/passwd", "%s%n", "<script>alert(1)</script>", "ü" * 50, "-rf"]


@pytest.mark.parametrize("name", AWKWARD, ids=[repr(name)[:24] for name in AWKWARD])
def test_awkward_names_are_kept_or_refused_but_never_run(demo, tenant, networks_of, name):
    networks = networks_of(tenant)
    before = host.run("nft", "list", "tables")
    for collection, key in (("networks", "network"), ("security-groups", "security_group"), ("routers", "router")):
        answer = tenant.network.request("POST", f"/v2.0/{collection}", {key: {"name": name, "description": name}})
        assert answer.status in (201, 400), f"{collection}: {answer.status} {answer.text[:200]}"
        assert "X-Injected" not in answer.headers
        if answer.status == 201:
            made = answer.json[key]
            networks.undo.append(lambda c=collection, i=made["id"]: tenant.network.delete(f"/v2.0/{c}/{i}"))
            assert made["name"] == name
    for fields in ({"name": name}, {"hostname": name}, {"labels": {name: "v"}}, {"workdir": name}):
        answer = tenant.container.request("POST", "/v1/containers", {"image": "cirros:latest", **fields})
        assert answer.status in (202, 400), f"{fields}: {answer.status} {answer.text[:200]}"
        if answer.status == 202:
            uuid = answer.json["uuid"]
            wait.until(lambda u=uuid: tenant.container.get(f"/v1/containers/{u}")["status"] != "Creating", 60)
            remove(tenant, uuid)
            wait.until(lambda u=uuid: tenant.container.request("GET", f"/v1/containers/{u}").status == 404, 60)
    assert not os.path.exists("/tmp/owned")
    assert set(before.splitlines()) <= set(host.run("nft", "list", "tables").splitlines())


HOSTILE = [value for value in AWKWARD if value not in ("../../etc/passwd", "%s%n", "<script>alert(1)</script>", "-rf")]


def test_rule_characters_never_reach_the_rules(tenant, networks_of):
    """Whatever becomes a part of nftables' text, of netlink or of a resolver's file has a form of its own and is refused otherwise."""
    networks = networks_of(tenant)
    network, subnet = networks.network("10.82.0.0/24")
    group, port = networks.group(), networks.port(network)
    before = host.run("nft", "list", "ruleset")
    rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4"}
    for text in HOSTILE:
        for value in (text, "10.0.0.0/8" + text, "tcp" + text, "fa:16:3e:00:00:01" + text):
            for method, path, body in (
                    ("POST", "security-group-rules", {"security_group_rule": {**rule, "protocol": value}}),
                    ("POST", "security-group-rules", {"security_group_rule": {**rule, "remote_ip_prefix": value}}),
                    ("POST", "security-group-rules", {"security_group_rule": {**rule, "ethertype": value}}),
                    ("POST", "security-group-rules", {"security_group_rule": {**rule, "direction": value}}),
                    ("POST", "security-group-rules", {"security_group_rule": {**rule, "protocol": "tcp", "port_range_min": value}}),
                    ("POST", "ports", {"port": {"network_id": network["id"], "mac_address": value}}),
                    ("POST", "ports", {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": value}]}}),
                    ("POST", "ports", {"port": {"network_id": network["id"], "dns_name": value}}),
                    ("PUT", f"ports/{port['id']}", {"port": {"allowed_address_pairs": [{"ip_address": value}]}}),
                    ("PUT", f"ports/{port['id']}", {"port": {"allowed_address_pairs": [{"ip_address": "10.1.1.1", "mac_address": value}]}}),
                    ("PUT", f"subnets/{subnet['id']}", {"subnet": {"dns_nameservers": [value]}}),
                    ("PUT", f"subnets/{subnet['id']}", {"subnet": {"host_routes": [{"destination": value, "nexthop": "10.82.0.9"}]}}),
                    ("PUT", f"subnets/{subnet['id']}", {"subnet": {"gateway_ip": value}}),
                    ("PUT", f"networks/{network['id']}", {"network": {"dns_domain": value}})):
                answer = tenant.network.request(method, f"/v2.0/{path}", body)
                if answer.status in (200, 201) and value == "tcp" + text and "dns" in str(body):
                    continue
                assert 400 <= answer.status < 500, f"{method} {path} {body}: {answer.status} {answer.text[:200]}"
    assert host.run("nft", "list", "ruleset") == before


def test_what_a_container_is_told_arrives_as_written(demo_containers, demo):
    """Environment, command, labels and host name go to Docker as values: nothing is split, expanded or added."""
    hostile = "x\ny=$(touch /tmp/owned)`touch /tmp/owned`'\"; touch /tmp/owned #%s\\"
    shown = demo_containers.run(environment={"A": hostile, "B": "b"}, labels={"a": hostile},
                                hostname="plain", command=["sh", "-c", "printf '%s' \"$0\" > /tmp/told; trap exit TERM; sleep 1000 & wait", hostile])
    inspected = host.inspect(shown["uuid"])
    mine = [entry for entry in inspected["Config"]["Env"] if entry.startswith(("A=", "B=", "y="))]
    assert sorted(mine) == [f"A={hostile}", "B=b"]
    labels = inspected["Config"]["Labels"]
    assert labels["a"] == hostile and labels["sahab.container"] == shown["uuid"]
    assert host.docker("exec", f"zun-{shown['uuid']}", "cat", "/tmp/told") == hostile
    for fields in ({"hostname": "a\n127.0.0.1 evil"}, {"hostname": "a b"}, {"hostname": "$(id)"}, {"name": "a\n127.0.0.1 evil"},
                   {"environment": {"": "x"}}, {"environment": {"A\u0000B": "x"}}, {"labels": {"": "x"}}, {"labels": {"sahab.container": "forged"}}, {"labels": {"sahab.cloud": "forged"}}, {"hostname": "a" * 300}, {"image": "a\nb"},
                   {"image": "../../containers/x/start"}, {"image": "-rm"}, {"image": "http://127.0.0.1/x"}, {"runtime": "../../bin/sh"},
                   {"registry": "a\nb"}, {"security_groups": ["a\nb"]}, {"host": "a\nb"}, {"availability_zone": "a\nb"}):
        answer = demo.container.request("POST", "/v1/containers", {"image": "cirros:latest", **fields})
        if answer.status == 202:
            demo_containers.made.append(answer.json["uuid"])
        assert 400 <= answer.status < 500 or "image" in fields, f"{fields}: {answer.status} {answer.text[:200]}"
    files = {name: host.docker("exec", f"zun-{shown['uuid']}", "cat", name) for name in ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")}
    assert "evil" not in str(files) and files["/etc/hostname"] == "plain"
    assert not os.path.exists("/tmp/owned")


def test_nobody_writes_lines_into_the_log(cloud, tenant):
    """What the log says is what the program said: a line is a JSON object, and no name begins another."""
    line = '{"timestamp":"2020-01-01T00:00:00Z","level":"ERROR","message":"forged"}'
    forged = f"a\n{line}\r\n{line}"
    for collection, key in (("networks", "network"), ("security-groups", "security_group"), ("routers", "router")):
        tenant.network.request("POST", f"/v2.0/{collection}", {key: {"name": forged, "description": forged}}).expect(400)
    tenant.container.request("POST", "/v1/containers", {"image": "cirros:latest", "name": forged})
    tenant.orchestration.request("POST", f"/v1/{tenant.project_id}/stacks", {"stack_name": forged, "template": forged})
    tenant.network.request("GET", "/v2.0/networks/" + urllib.parse.quote(forged))
    tenant.network.request("GET", "/v2.0/networks?name=" + urllib.parse.quote(forged), headers={"X-OpenStack-Request-ID": line, "User-Agent": line})
    tenant.login(OS_USERNAME=forged)
    entries = [json.loads(text) for text in cloud.log().splitlines() if text.startswith("{")]
    assert entries and not [entry for entry in entries if entry.get("message") == "forged"]


# ---- from inside a container ----

@pytest.fixture
def open_cloud(cloud):
    """The run's cloud, listening on every address of the machine for a while, as an operator would have it."""
    cloud.address = "[::]"
    cloud.restart()
    yield cloud
    cloud.address = "127.0.0.1"
    cloud.restart()


def addresses_of_this_machine():
    """Every address a packet could be sent to, except those that mean the container itself or need a zone."""
    found = [row["local"] for link in json.loads(host.run("ip", "-j", "address")) for row in link["addr_info"]]
    return [address for address in found if not address.startswith(("127.", "fe80")) and address != "::1"]


def test_a_container_does_not_reach_the_host(open_cloud, tenant, demo_containers, networks_of, containers_of, outside):
    """Neither the API nor Docker nor anything that listens on the machine; the default group lets everything out, the machine lets nothing in."""
    networks, containers = networks_of(tenant), containers_of(tenant)
    network, subnet = networks.network("10.80.0.0/24", "fd00:80::/64")
    networks.router(subnet, external=networks.named("ext-net"))
    behind_router, on_external = containers.run(nets=[{"network": network["id"]}]), demo_containers.run()
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        ports = [open_cloud.port, 2375, 2376, 22, listener.getsockname()[1]]
        assert host.reachable("127.0.0.1", ports[-1]) and host.reachable("127.0.0.1", ports[0])
        targets = addresses_of_this_machine() + ["169.254.169.254"]
        assert "198.51.100.2" in targets and len(targets) > 2
        script = "; ".join([f"(echo | nc -w 3 {address} {port} >/dev/null 2>&1 && echo reached {address} {port}) &" for address in targets for port in ports]
                           + [f"(echo | nc -w 3 {world.ADDRESS} 8080 >/dev/null 2>&1 && echo reached the world) &"]).replace("&;", "&") + " wait"
        for made, shown in ((containers, behind_router), (demo_containers, on_external)):
            code, text = made.shell(shown["uuid"], script)
            assert text.strip() == "reached the world", text


def test_a_container_has_no_extra_rights(demo_containers):
    inspected = host.inspect(demo_containers.run()["uuid"])
    limits = inspected["HostConfig"]
    assert not limits["Privileged"] and not limits["CapAdd"] and limits["PidMode"] == "" and limits["IpcMode"] != "host"
    assert not any("docker.sock" in mount["Source"] for mount in inspected["Mounts"])


def test_privileged_is_for_those_allowed(demo):
    demo.container.request("POST", "/v1/containers", {"image": "cirros:latest", "privileged": True}).expect(403)


# ---- the host's own doors ----

def test_closed_permissions_and_ports(cloud):
    for path in [cloud.state, *cloud.state.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or not mode & 0o077 or path.is_socket() and not mode & 0o077 or path.is_relative_to(cloud.state / "log"), \
            f"{path} {oct(mode)}"
    listening = host.run("ss", "-Hltn")
    assert ":2375" not in listening and ":2376" not in listening
    by_docker = [line for line in host.run("ss", "-Hltunp").splitlines() if "dockerd" in line or "docker-proxy" in line or "containerd" in line]
    assert by_docker == [], "Docker listens on the network"
    mine = [line for line in listening.splitlines() if f":{cloud.port} " in line]
    assert mine and all("127.0.0.1" in line for line in mine)
    plugin = "/run/docker/plugins/sahab.sock"
    assert stat.S_IMODE(os.stat(plugin).st_mode) & 0o077 == 0


# ---- many at once ----

def test_many_clients_at_once(admin, tenant):
    """Writers on one project at once: no request fails, nothing is done twice."""
    faults, ids = [], []

    def write():
        answer = tenant.network.request("POST", "/v2.0/security-groups", {"security_group": {"name": unique("g")}})
        (ids if answer.status == 201 else faults).append(answer.json)
    tenant.token()
    admin.network.put(f"/v2.0/quotas/{tenant.project_id}", {"quota": {"security_group": 100, "security_group_rule": -1}})
    threads = [threading.Thread(target=write) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[0]
    assert len({made["security_group"]["id"] for made in ids}) == 32
    for made in ids:
        tenant.network.delete(f"/v2.0/security-groups/{made['security_group']['id']}")
    admin.network.delete(f"/v2.0/quotas/{tenant.project_id}")
