"""Attacks, each written out: tokens, headers, injection through names, files of the server, the container's surroundings."""
import base64
import json
import os
import socket
import stat
import threading
import time

import pytest

from support import host, wait
from support.accounts import unique
from support.containers import remove

PROTECTED = [("identity", "/v3/users"), ("network", "/v2.0/networks"), ("container", "/v1/containers"),
             ("orchestration", "/v1/{project}/stacks")]


def path_of(account, path):
    return path.format(project=account.project_id)


# ---- tokens ----

@pytest.mark.parametrize("service, path", PROTECTED)
def test_no_token_and_bad_tokens_are_refused(demo, service, path):
    good = demo.token()
    flipped = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    forged = base64.urlsafe_b64encode(b"\x80" + bytes(100)).decode()
    for token in (False, "", "nonsense", good[:-8], flipped, forged, good + "A", "gAAAA" + "x" * 20000):
        answer = getattr(demo, service).request("GET", path_of(demo, path), token=token)
        assert answer.status in (401, 431) or (answer.status == 400 and len(str(token)) > 10000), f"{str(token)[:20]}: {answer.status}"


@pytest.mark.parametrize("service, path", PROTECTED[1:])
def test_identity_headers_of_a_client_mean_nothing(demo, service, path):
    """What middleware would set after validation gives no rights when a client sends it."""
    claimed = {"X-Identity-Status": "Confirmed", "X-User-Id": "admin", "X-Project-Id": demo.project_id, "X-Roles": "admin",
               "X-Tenant-Id": demo.project_id, "X-Is-Admin-Project": "True", "X-Service-Token": "x"}
    getattr(demo, service).request("GET", path_of(demo, path), headers=claimed, token=False).expect(401)
    mine = getattr(demo, service).request("GET", path_of(demo, path), headers=claimed).expect(200)
    demo.container.request("GET", "/v1/services", headers=claimed).expect(403)
    assert mine.json is not None


def test_a_revoked_token_stays_dead_over_a_restart(cloud, admin):
    user = admin.new_project()
    try:
        token = user.token()
        user.identity.request("DELETE", "/v3/auth/tokens", headers={"X-Subject-Token": token}).expect(204)
        user.network.request("GET", "/v2.0/networks", token=token).expect(401)
        kept = admin.token()
        cloud.restart()
        user.network.request("GET", "/v2.0/networks", token=token).expect(401)
        admin.network.request("GET", "/v2.0/networks", token=kept).expect(200)
        user.forget_token()
    finally:
        admin.drop_project(user)


def test_an_expired_token_is_refused(demo):
    """A token whose time stamp says another time is not accepted: the time is under the signature."""
    raw = bytearray(base64.urlsafe_b64decode(demo.token() + "=" * (-len(demo.token()) % 4)))
    raw[1:9] = (int(time.time()) - 30 * 86400).to_bytes(8, "big")
    old = base64.urlsafe_b64encode(bytes(raw)).decode()
    demo.network.request("GET", "/v2.0/networks", token=old).expect(401)


def test_a_reader_reads_and_changes_nothing(admin):
    reader = admin.new_project(role="reader")
    try:
        reader.network.get("/v2.0/networks")
        for service, path, body in (("network", "/v2.0/networks", {"network": {"name": "x"}}),
                                    ("container", "/v1/containers", {"image": "cirros:latest"}),
                                    ("identity", "/v3/projects", {"project": {"name": "x"}})):
            answer = getattr(reader, service).request("POST", path, body)
            assert answer.status == 403, f"{service}: {answer.status} {answer.text[:200]}"
    finally:
        admin.drop_project(reader)


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


# ---- files and addresses of the server through templates ----

@pytest.mark.parametrize("place", ["file:///etc/passwd", "http://127.0.0.1:22/", "/etc/passwd", "file:///etc/shadow"])
def test_templates_do_not_read_the_servers_files_or_ports(demo, stacks_of, place):
    stacks = stacks_of(demo)
    for template in ({"heat_template_version": "rocky", "resources": {"v": {"type": "OS::Heat::Value", "properties": {
                         "value": {"get_file": place}}}}},
                     {"heat_template_version": "rocky", "resources": {"v": {"type": place}}}):
        answer = stacks.create(template, expect=(400,))
        assert "root:" not in answer.text
    body = {"stack_name": unique("s"), "template_url": place}
    answer = stacks.request("POST", "", body).expect(400)
    assert "root:" not in answer.text


@pytest.mark.parametrize("template", [
    {"resources": {"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 10**9, "resource_def": {"type": "OS::Heat::None"}}}}},
    {"resources": {"v": {"type": "OS::Heat::Value", "properties": {"value": {"repeat": {
        "for_each": {f"%{c}%": list(range(60)) for c in "abcd"}, "template": "%a%%b%%c%%d%"}}}}}},
], ids=["ResourceGroup", "repeat"])
def test_explosions_are_refused(demo, stacks_of, template):
    stacks_of(demo).create({"heat_template_version": "rocky", **template}, expect=(400, 403))


# ---- from inside a container ----

def test_a_container_does_not_reach_the_host(cloud, tenant, networks_of, containers_of):
    """Neither the API's port nor Docker; the default group lets everything out, the machine lets nothing in."""
    networks, containers = networks_of(tenant), containers_of(tenant)
    network, subnet = networks.network("10.80.0.0/24")
    networks.router(subnet, external=networks.named("ext-net"))
    uuid = containers.run(nets=[{"network": network["id"]}])["uuid"]
    gateway = tenant.network.get(f"/v2.0/subnets?network_id={networks.named('ext-net')}")["subnets"][0]["gateway_ip"]
    listener = socket.create_server(("", 0))
    try:
        for address in (gateway, "198.51.100.2", "172.17.0.1"):
            for port in (cloud.port, 2375, 22, listener.getsockname()[1]):
                code, text = containers.shell(uuid, f"echo | nc -w 1 {address} {port} && echo connected")
                assert "connected" not in text, f"{address}:{port} is reachable from a container"
    finally:
        listener.close()


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
    mine = [line for line in listening.splitlines() if f":{cloud.port} " in line]
    assert mine and all("127.0.0.1" in line for line in mine)
    plugin = "/run/docker/plugins/sahab.sock"
    assert stat.S_IMODE(os.stat(plugin).st_mode) & 0o077 == 0


# ---- load that must not hurt ----

def memory_of(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def test_idle_connections_and_slow_bodies_cost_little(cloud, demo):
    """Two thousand open connections, some with half a request: others are served, memory stays flat, all are let go."""
    demo.token()
    before = memory_of(cloud.process)
    held = []
    try:
        for number in range(2000):
            connection = socket.create_connection(("127.0.0.1", cloud.port))
            if number % 2:
                connection.sendall(b"POST /network/v2.0/networks HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")
            held.append(connection)
        demo.network.request("GET", "/v2.0/networks").expect(200)
        grown = memory_of(cloud.process) - before
        assert grown < 100, f"{grown} MiB for 2000 connections"
    finally:
        for connection in held:
            connection.close()
    demo.network.request("GET", "/v2.0/networks").expect(200)


def test_big_and_deep_bodies_are_refused(demo):
    big = json.dumps({"network": {"name": "x" * (64 * 1024 * 1024)}})
    answer = demo.network.request("POST", "/v2.0/networks", data=big, headers={"Content-Type": "application/json"})
    assert answer.status in (400, 413)
    deep = "[" * 100000 + "]" * 100000
    for service, path in PROTECTED:
        answer = getattr(demo, service).request("POST", path_of(demo, path), data=deep, headers={"Content-Type": "application/json"})
        assert answer.status in (400, 403, 413), f"{service}: {answer.status}"
    not_text = b'{"network": {"name": "\xff\xfe"}}'
    demo.network.request("POST", "/v2.0/networks", data=not_text, headers={"Content-Type": "application/json"}).expect(400)


BAD_BODIES = ["", "{", "null", "5", '"text"', "[]", "{}", '{"x": {}}', '{"network": null}', '{"network": []}', '{"container": 1}']


@pytest.mark.parametrize("service, path", [("network", f"/v2.0/{collection}") for collection in
                                           ("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules")]
                         + [("container", "/v1/containers"), ("orchestration", "/v1/{project}/stacks"), ("identity", "/v3/auth/tokens")])
def test_malformed_bodies_are_the_clients_fault(demo, service, path):
    for body in BAD_BODIES:
        answer = getattr(demo, service).request("POST", path_of(demo, path), data=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status < 500, f"{body!r}: {answer.status} {answer.text[:200]}"


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
