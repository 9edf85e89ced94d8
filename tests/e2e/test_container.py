"""Containers: life cycle, what reaches Docker, versions, refusals."""
import base64
import io
import tarfile

import pytest

from support import host, wait
from support.accounts import unique
from support.containers import Containers
from support.registry import Registry


@pytest.fixture
def running(demo_containers):
    return demo_containers.run()


# ---- create ----

def test_create_does_not_start(demo_containers):
    made = demo_containers.create(run=False)
    assert made["status"] == "Creating" and made["uuid"]
    shown = demo_containers.wait(made["uuid"], "Created")
    assert shown["status_reason"] is None
    assert host.inspect(made["uuid"])["State"]["Running"] is False


def test_every_field_reaches_docker(demo_containers):
    shown = demo_containers.run(
        command=["sh", "-c", "trap exit TERM; sleep 100000 & wait"], cpu=0.5, memory="128", workdir="/tmp", hostname="pinned",
        environment={"PLAIN": "value", "AWKWARD": "a b;c$d\n\"e\""}, labels={"app": "test"}, interactive=True,
        restart_policy={"Name": "on-failure", "MaximumRetryCount": "2"})
    assert shown["environment"]["AWKWARD"] == "a b;c$d\n\"e\"" and shown["labels"] == {"app": "test"}
    assert shown["restart_policy"] == {"Name": "on-failure", "MaximumRetryCount": "2"}
    assert shown["cpu"] == 0.5 and shown["memory"] == "128" and shown["hostname"] == "pinned"
    inspected = host.inspect(shown["uuid"])
    config, limits = inspected["Config"], inspected["HostConfig"]
    assert "AWKWARD=a b;c$d\n\"e\"" in config["Env"] and config["WorkingDir"] == "/tmp" and config["Hostname"] == "pinned"
    assert config["OpenStdin"] is True and config["Labels"]["app"] == "test"
    assert limits["Memory"] == 128 * 1024 * 1024
    assert limits["NanoCpus"] == 500_000_000 or limits["CpuQuota"] * 2 == limits["CpuPeriod"], "cpu must be a real limit"
    assert limits["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}


def test_entrypoint_and_exposed_port(demo_containers, demo):
    shown = demo_containers.run("nginx:latest", exposed_ports={"80/tcp": {}})
    group = demo.network.get(f"/v2.0/ports/{demo_containers.port(shown)}")["port"]["security_groups"]
    assert len(group) == 1
    rules = demo.network.get(f"/v2.0/security-groups/{group[0]}")["security_group"]
    assert rules["name"] != "default"
    assert [(r["protocol"], r["port_range_min"]) for r in rules["security_group_rules"] if r["direction"] == "ingress"] == [("tcp", 80)]
    demo_containers.delete(shown["uuid"])
    demo.network.request("GET", f"/v2.0/security-groups/{group[0]}").expect(404)


def test_port_belongs_to_the_container(demo_containers, demo):
    shown = demo_containers.run()
    def port_is_active():
        port = demo.network.get(f"/v2.0/ports/{demo_containers.port(shown)}")["port"]
        return port if port["status"] == "ACTIVE" else None
    # The network service hears of the interface by itself, a moment before or after the container runs.
    port = wait.until(port_is_active, 10)
    assert port["device_owner"] == "compute:kuryr" and port["device_id"] == shown["uuid"]
    assert port["fixed_ips"][0]["ip_address"] == demo_containers.address(shown)
    demo_containers.delete(shown["uuid"])
    demo.network.request("GET", f"/v2.0/ports/{port['id']}").expect(404)


def test_a_given_port_is_kept(tenant, containers_of, networks_of):
    networks, containers = networks_of(tenant), containers_of(tenant)
    network, _ = networks.network("10.30.1.0/24")
    port = networks.port(network)
    shown = containers.run(nets=[{"port": port["id"]}])
    assert containers.address(shown) == port["fixed_ips"][0]["ip_address"]
    containers.delete(shown["uuid"])
    freed = tenant.network.get(f"/v2.0/ports/{port['id']}")["port"]
    assert freed["device_id"] == "" and freed["device_owner"] == ""


def test_fixed_address(tenant, containers_of, networks_of):
    network, _ = networks_of(tenant).network("10.30.2.0/24")
    containers = containers_of(tenant)
    shown = containers.run(nets=[{"network": network["name"], "v4-fixed-ip": "10.30.2.99"}])
    assert containers.address(shown) == "10.30.2.99"
    assert "10.30.2.99" in containers.execute(shown["uuid"], "ip address")[1]


def test_a_missing_image_is_said_on_the_container(demo_containers):
    made = demo_containers.create("no-such-image:ever", command=["true"])
    shown = demo_containers.wait(made["uuid"], "Error")
    assert "no-such-image" in shown["status_reason"]
    demo_containers.delete(made["uuid"])


def test_a_bad_command_is_said_on_the_container(demo_containers):
    made = demo_containers.create(command=["/no/such/program"])
    shown = demo_containers.wait(made["uuid"], "Error")
    assert "/no/such/program" in shown["status_reason"]


@pytest.mark.parametrize("fields", [
    {"name": "x"}, {"name": "has space"}, {"name": "-starts-badly"}, {"memory": "1"}, {"cpu": "many"}, {"cpu": -1},
    {"environment": {"A": 5}}, {"environment": ["A=5"]}, {"labels": "a=b"}, {"restart_policy": {"Name": "sometimes"}},
    {"unknown_field": True}, {"nets": [{"network": "no-such-network"}]}, {"image_pull_policy": "now and then"},
    {"hostname": "under_score\nline"}, {"runtime": "no-such-runtime"}, {"availability_zone": "nowhere"}])
def test_bad_requests_are_refused_and_leave_nothing(demo, fields):
    answer = demo.container.request("POST", "/v1/containers?run=true", {"image": "cirros:latest", **fields})
    if answer.status == 202:  # found out only when placing or starting: then the container says why
        containers = Containers(demo)
        containers.made.append(answer.json["uuid"])
        try:
            assert containers.wait(answer.json["uuid"], "Error")["status_reason"]
        finally:
            containers.clean()
    else:
        assert 400 <= answer.status < 500, answer.text
        assert answer.json["errors"][0]["detail"]
    assert demo.container.get("/v1/containers")["containers"] == []


@pytest.mark.parametrize("fields", [{"mounts": [{"size": "1", "destination": "/data"}]},
                                    {"mounts": [{"source": "some-volume", "destination": "/data"}]}])
def test_what_is_not_available_is_refused_in_words(demo, fields):
    answer = demo.container.request("POST", "/v1/containers", {"image": "cirros:latest", **fields})
    assert 400 <= answer.status < 500 and "volume" in answer.text.lower()


def test_capsules_are_refused_in_words(demo):
    answer = demo.container.request("POST", "/v1/capsules/", {"template": {"capsuleVersion": "beta", "kind": "capsule"}})
    assert 400 <= answer.status < 500 and answer.json


# ---- life ----

def test_stop_start_restart(demo_containers, running):
    uuid = running["uuid"]
    demo_containers.action(uuid, "stop", "?timeout=1")
    demo_containers.wait(uuid, "Stopped")
    assert demo_containers.action(uuid, "start") is None
    again = demo_containers.wait(uuid, "Running")
    assert again["addresses"] == running["addresses"]
    first = host.inspect(uuid)["State"]["StartedAt"]
    demo_containers.action(uuid, "reboot", "?timeout=1")
    wait.until(lambda: host.inspect(uuid)["State"]["StartedAt"] != first, 30)
    demo_containers.wait(uuid, "Running")


def test_pause_unpause_kill(demo_containers, running):
    uuid = running["uuid"]
    demo_containers.action(uuid, "pause")
    demo_containers.wait(uuid, "Paused")
    demo_containers.action(uuid, "unpause")
    demo_containers.wait(uuid, "Running")
    demo_containers.action(uuid, "kill", "?signal=SIGKILL")
    demo_containers.wait(uuid, "Stopped")


def test_actions_in_the_wrong_state_are_409(demo_containers, running):
    uuid = running["uuid"]
    for action in ("start", "unpause"):
        demo_containers.api.request("POST", f"/v1/containers/{uuid}/{action}").expect(409)
    demo_containers.api.request("DELETE", f"/v1/containers/{uuid}").expect(409)


def test_execute_logs_top_stats(demo_containers):
    shown = demo_containers.run(command=["sh", "-c", "echo to stdout; echo to stderr >&2; trap exit TERM; sleep 100000 & wait"])
    uuid = shown["uuid"]
    assert demo_containers.execute(uuid, "sh -c 'echo hello; exit 3'") == (3, "hello\n")
    logs = wait.until(lambda: (text := demo_containers.api.request("GET", f"/v1/containers/{uuid}/logs").text)
                      and "stderr" in text and text, 10)
    assert "to stdout" in logs
    only = demo_containers.api.request("GET", f"/v1/containers/{uuid}/logs?stdout=false&stderr=true").text
    assert "to stderr" in only and "to stdout" not in only
    assert "sleep 100000" in str(demo_containers.api.get(f"/v1/containers/{uuid}/top?ps_args=None"))
    stats = demo_containers.api.get(f"/v1/containers/{uuid}/stats")
    assert {"CONTAINER", "CPU %", "MEM USAGE(MiB)", "MEM LIMIT(MiB)", "MEM %", "BLOCK I/O(B)", "NET I/O(B)"} <= set(stats)


def test_rename_and_resize(demo_containers, running):
    uuid, name = running["uuid"], unique("renamed")
    demo_containers.api.patch(f"/v1/containers/{uuid}", {"name": name, "memory": "200", "cpu": 0.2})
    shown = wait.until(lambda: (now := demo_containers.show(uuid))["name"] == name and now["memory"] == "200" and now, 10)
    assert shown["cpu"] == 0.2
    assert host.inspect(uuid)["HostConfig"]["Memory"] == 200 * 1024 * 1024
    assert demo_containers.api.get(f"/v1/containers/{name}")["uuid"] == uuid


def test_two_of_one_name_need_the_id(demo_containers):
    name = unique("twin")
    first, second = demo_containers.create(name=name, run=False), demo_containers.create(name=name, run=False)
    demo_containers.api.request("GET", f"/v1/containers/{name}").expect(409)
    assert demo_containers.show(first["uuid"])["uuid"] != demo_containers.show(second["uuid"])["uuid"]
    for made in (first, second):
        demo_containers.wait(made["uuid"], "Created")


def test_status_follows_docker_at_once(demo_containers, running):
    """What happens to the container behind our back is seen, without a poll of the API starting it."""
    uuid = running["uuid"]
    host.docker("kill", f"zun-{uuid}")
    shown = demo_containers.wait(uuid, "Stopped", timeout=10)
    assert "137" in (shown["status_detail"] or "")
    host.docker("start", f"zun-{uuid}")
    demo_containers.wait(uuid, "Running", timeout=10)


def test_a_container_removed_behind_our_back_can_be_deleted(demo_containers, running):
    host.docker("rm", "-f", f"zun-{running['uuid']}")
    demo_containers.wait(running["uuid"], "Error", timeout=10)
    demo_containers.delete(running["uuid"])


def test_auto_remove(demo_containers):
    made = demo_containers.create(command=["true"], auto_remove=True)
    demo_containers.gone(made["uuid"], timeout=90)
    assert not host.docker_has(made["uuid"])


def test_archive(demo_containers, running):
    """Files go in and out as the cp command sends them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("note")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    path = f"/v1/containers/{running['uuid']}/"
    demo_containers.api.post(path + "put_archive?path=/tmp", {"data": base64.b64encode(packed.getvalue()).decode()})
    assert demo_containers.execute(running["uuid"], "cat /tmp/note") == (0, "hello")
    got = demo_containers.api.get(path + "get_archive?path=/tmp/note")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(got["data"]))) as tar:
        assert tar.extractfile("note").read() == b"hello"


# ---- networks and groups of a container ----

def test_attach_and_detach_a_network(tenant, containers_of, networks_of):
    networks, containers = networks_of(tenant), containers_of(tenant)
    first, _ = networks.network("10.30.3.0/24")
    second, _ = networks.network("10.30.4.0/24")
    uuid = containers.run(nets=[{"network": first["id"]}])["uuid"]
    containers.action(uuid, "network_attach", f"?network={second['id']}")
    shown = wait.until(lambda: second["id"] in (now := containers.show(uuid))["addresses"] and now, 20)
    address = shown["addresses"][second["id"]][0]["addr"]
    wait.until(lambda: address in containers.execute(uuid, "ip address")[1], 20)
    listed = containers.api.get(f"/v1/containers/{uuid}/network_list")["networks"]
    assert {row["net_id"] for row in listed} == {first["id"], second["id"]}
    containers.action(uuid, "network_detach", f"?network={second['id']}")
    wait.until(lambda: second["id"] not in containers.show(uuid)["addresses"], 20)
    assert address not in containers.execute(uuid, "ip address")[1]


def test_groups_are_set_by_name_and_changed(demo, demo_containers, networks_of):
    networks = networks_of(demo)
    first, second = networks.group(), networks.group()
    shown = demo_containers.run(security_groups=[first["name"]])
    port = demo_containers.port(shown)

    def groups():
        return set(demo.network.get(f"/v2.0/ports/{port}")["port"]["security_groups"])
    assert groups() == {first["id"]}
    old = demo.container_at("1.14")
    old.post(f"/v1/containers/{shown['uuid']}/add_security_group?name={second['name']}")
    wait.until(lambda: groups() == {first["id"], second["id"]}, 10)
    demo_containers.clean()


# ---- lists, versions, other users ----

def test_list_filters_and_pages(demo_containers):
    names = sorted(unique("paged") for _ in range(3))
    for name in names:
        demo_containers.wait(demo_containers.create(name=name, run=False)["uuid"], "Created")
    api = demo_containers.api
    page = api.get("/v1/containers/?limit=2&sort_key=name&sort_dir=asc")
    assert [row["name"] for row in page["containers"]] == names[:2] and page["next"]
    assert [row["name"] for row in api.get(f"/v1/containers/?name={names[0]}")["containers"]] == [names[0]]
    assert len(api.get("/v1/containers/?status=Created")["containers"]) == 3


def test_other_projects_containers_are_not_there(demo_containers, running, other):
    for path in (running["uuid"], running["name"]):
        other.container.request("GET", f"/v1/containers/{path}").expect(404)
        other.container.request("DELETE", f"/v1/containers/{path}?force=true").expect(403, 404)
    assert other.container.get("/v1/containers")["containers"] == []


def test_versions_are_negotiated(demo, demo_containers, running):
    uuid = running["uuid"]
    old = demo.container_at("1.1").request("GET", f"/v1/containers/{uuid}").expect(200)
    assert old.headers["OpenStack-API-Version"] == "container 1.1"
    latest = demo.container_at("latest").request("GET", f"/v1/containers/{uuid}").expect(200)
    assert latest.headers["OpenStack-API-Version"] == "container 1.40"
    demo.container_at("1.41").request("GET", f"/v1/containers/{uuid}").expect(406)
    demo.container_at("nonsense").request("GET", f"/v1/containers/{uuid}").expect(400, 406)


def test_services_hosts_and_zones_are_the_administrators(admin, demo):
    services = admin.container.get("/v1/services")["services"]
    assert [(row["binary"], row["state"]) for row in services] == [("zun-compute", "up")]
    name = services[0]["host"]
    demo.container.request("GET", "/v1/services").expect(403)
    demo.container.request("GET", "/v1/hosts").expect(403)
    hosts = admin.container.get("/v1/hosts")["hosts"]
    assert hosts[0]["hostname"] == name and hosts[0]["mem_total"] > 0 and hosts[0]["cpus"] > 0
    assert demo.container.get("/v1/availability_zones")["availability_zones"]


def test_a_disabled_host_takes_nothing_and_says_so(admin, demo_containers):
    service = admin.container.get("/v1/services")["services"][0]
    where = f"?host={service['host']}&binary={service['binary']}"
    admin.container.put(f"/v1/services/disable{where}&disabled_reason=maintenance")
    try:
        shown = demo_containers.wait(demo_containers.create()["uuid"], "Error")
        assert "host" in shown["status_reason"].lower()
    finally:
        admin.container.put(f"/v1/services/enable{where}")
    demo_containers.run()


def test_more_than_any_host_has_is_refused(demo_containers):
    """Eight GiB each, until the machine's memory is promised (more than once over): the next one says why no host fits."""
    for _ in range(2 * host.memory_gib() // 8 + 2):
        shown = demo_containers.wait(demo_containers.create(memory="8192", run=False)["uuid"], "Created", "Error")
        if shown["status"] == "Error":
            break
    assert shown["status"] == "Error"
    assert "ram" in shown["status_reason"].lower() or "memory" in shown["status_reason"].lower()


def test_quota(admin, tenant, containers_of):
    admin.container.put(f"/v1/quotas/{tenant.project_id}", {"containers": 1})
    containers = containers_of(tenant)
    containers.wait(containers.create(run=False)["uuid"], "Created")
    answer = tenant.container.request("POST", "/v1/containers", {"image": "cirros:latest"})
    assert answer.status == 403 and "quota" in answer.text.lower()


def test_actions_are_recorded(demo_containers, running):
    actions = demo_containers.api.get(f"/v1/containers/{running['uuid']}/container_actions")["containerActions"]
    assert "create" in [row["action"] for row in actions]
    request = next(row["request_id"] for row in actions if row["action"] == "create")
    assert request.startswith("req-")


def test_images_are_pulled_listed_and_deleted(demo, admin):
    demo.container.request("GET", "/v1/images/").expect(403)
    name = admin.container.get("/v1/services")["services"][0]["host"]
    with Registry("busybox", "test/listed:1") as registry:
        made = admin.container.post("/v1/images/", {"repo": registry.image, "host": name}, expect=(202,))
        try:
            path = f"/v1/images/{made['uuid']}"
            shown = wait.until(lambda: (image := admin.container.get(path))["size"] and image, 30, what="the pulled image")
            assert shown["tag"] == "1" and shown["host"] == name
            assert made["uuid"] in [row["uuid"] for row in admin.container.get("/v1/images/")["images"]]
            admin.container.delete(path)
            admin.container.request("GET", path).expect(404)
        finally:
            host.docker("rmi", "-f", registry.image, check=False)


def test_the_command_runs_a_container(demo):
    name = unique("cli")
    try:
        demo.openstack("appcontainer", "run", "--name", name, "--cpu", "0.5", "--memory", "64", "cirros:latest", "sleep", "1000")
        wait.until(lambda: demo.openstack("appcontainer", "show", "-f", "value", "-c", "status", name) == "Running", 60)
        assert "hello" in demo.openstack("appcontainer", "exec", name, "echo", "hello")
        demo.openstack("appcontainer", "stop", name)
        wait.until(lambda: demo.openstack("appcontainer", "show", "-f", "value", "-c", "status", name) == "Stopped", 60)
    finally:
        demo.command("appcontainer", "delete", "--stop", name)
    wait.until(lambda: demo.command("appcontainer", "show", name).returncode != 0, 60)


def test_pull_policy_and_a_registry_that_does_not_answer(demo_containers):
    made = demo_containers.create("127.0.0.1:1/nothing/here:latest", command=["true"], image_pull_policy="always")
    shown = demo_containers.wait(made["uuid"], "Error")
    assert "127.0.0.1:1" in shown["status_reason"] or "refused" in shown["status_reason"]
    demo_containers.run(image_pull_policy="never")


def test_an_image_from_a_registry(demo_containers):
    """Pulled once by the policy `ifnotpresent`; a tag that the registry lacks is said on the container."""
    with Registry("busybox", "test/pulled:1") as registry:
        try:
            demo_containers.run(registry.image, command=["sleep", "1000"], image_pull_policy="ifnotpresent")
            asked = list(registry.asked)
            assert any("/blobs/" in path for path in asked)
            demo_containers.run(registry.image, command=["sleep", "1000"], image_pull_policy="ifnotpresent")
            assert registry.asked == asked, "an image that is there is not asked for again"
            made = demo_containers.create(registry.image + "x", command=["true"])
            assert "not found" in demo_containers.wait(made["uuid"], "Error")["status_reason"].lower() \
                or "unknown" in demo_containers.show(made["uuid"])["status_reason"].lower()
            demo_containers.clean()
        finally:
            host.docker("rmi", "-f", registry.image, check=False)
