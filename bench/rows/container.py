"""One container from its acceptance to running, and fifty at once, against the raw Docker Engine API on a bridge network."""
import concurrent.futures
import subprocess
import time

from support import host, wait
from support.containers import Containers, remove

from . import phases
from .common import SAMPLES, Api, Bound, Engine, Row, against, median

IMAGE = "busybox:latest"
COMMAND = ["sleep", "1000"]
BURST = 50
BURSTS = max(1, SAMPLES // 4)
NETWORK = "bench-reference"
# So small that a host of two cores takes fifty.
SIZE = {"cpu": 0.5, "memory": "64"}
WARM_UP = 2
MUST = Bound(1.15, must=True)
# Seldom, because asking disturbs: every 5 ms it made Docker's own start 34 ms longer on two cores, while nobody asks the
# reference anything. When the status became what was waited for is read from the program's log instead.
POLL_SECONDS = 0.05
POLL_MANY_SECONDS = 0.25
# Docker answers a removal before it has cleaned up: neither side may start into that.
REST_SECONDS = 0.3


class Lab:
    """A tenant's network and a Docker bridge network side by side."""

    def __init__(self, cloud):
        self.admin = cloud.account("admin")
        self.account = self.admin.new_project()
        self.admin.container.put(f"/v1/quotas/{self.account.project_id}", {"containers": 1000, "cpu": 10000, "memory": 10**7})
        self.admin.network.put(f"/v2.0/quotas/{self.account.project_id}", {"quota": {"port": -1, "network": -1}})
        self.network = self.account.network.post("/v2.0/networks", {"network": {"name": "bench"}})["network"]["id"]
        subnet = {"network_id": self.network, "cidr": "10.120.0.0/22", "ip_version": 4}
        self.account.network.post("/v2.0/subnets", {"subnet": subnet})
        self.containers = Containers(self.account)
        self.engine = Engine()
        host.docker("network", "create", "--subnet", "172.31.0.0/22", NETWORK)

    def api(self):
        return Api(self.account.container)

    def create(self, api, **size):
        """Asks for a container; its id."""
        body = {"name": f"bench-{time.monotonic_ns()}", "image": IMAGE, "command": COMMAND, "nets": [{"network": self.network}], **size}
        uuid = api.call("POST", "/v1/containers?run=true", body)["uuid"]
        self.containers.made.append(uuid)
        return uuid

    def close(self):
        self.containers.clean()
        self.account.network.delete(f"/v2.0/networks/{self.network}")
        # Docker may still hold endpoints of containers whose removal it has answered.
        wait.until(lambda: host.docker("network", "rm", NETWORK), 60, 1)
        self.admin.drop_project(self.account)


def running(container):
    if container["status"] == "Error":
        raise RuntimeError(f"container {container['uuid']}: {container['status_reason']}")
    return container["status"] == "Running"


def ours(lab, api, log):
    """(seconds until its status was Running for whoever asks, phases) of one container."""
    time.sleep(REST_SECONDS)
    begun = time.time()
    uuid = lab.create(api)
    accepted = time.time()
    while not running(api.call("GET", f"/v1/containers/{uuid}")):
        time.sleep(POLL_SECONDS)
    seen = time.time()
    split = phases.split(log, uuid, begun, accepted, seen)
    remove(lab.account, uuid)
    lab.containers.gone(uuid)
    return seen - begun - split[-1], split


def start_raw(engine, network=NETWORK):
    """(name, seconds of create, seconds of start)"""
    name = f"bench-{time.monotonic_ns()}"
    begun = time.monotonic()
    engine.call("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": COMMAND, "HostConfig": {"NetworkMode": network}})
    created = time.monotonic()
    engine.call("POST", f"/containers/{name}/start")
    return name, created - begun, time.monotonic() - created


def reference(engine):
    time.sleep(REST_SECONDS)
    name, create, start = start_raw(engine)
    engine.call("DELETE", f"/containers/{name}?force=1")
    return create, start


def first_reference(engine):
    """Seconds of a new bridge network and a container in it."""
    time.sleep(REST_SECONDS)
    network = f"bench-{time.monotonic_ns()}"
    begun = time.monotonic()
    engine.call("POST", "/networks/create", {"Name": network, "Driver": "bridge", "CheckDuplicate": True})
    name, _, _ = start_raw(engine, network)
    seconds = time.monotonic() - begun
    engine.call("DELETE", f"/containers/{name}?force=1")
    engine.call("DELETE", f"/networks/{network}")
    return seconds


def measure(cloud):
    """First into networks that are not on the host yet, then beside a neighbour that keeps the network there on either side."""
    lab = Lab(cloud)
    try:
        api = lab.api()
        firsts = [(ours(lab, api, phases.Log(cloud))[0], first_reference(lab.engine)) for _ in range(WARM_UP + SAMPLES // 2)][WARM_UP:]
        lab.containers.wait(lab.create(api), "Running")
        neighbour, _, _ = start_raw(lab.engine)
        pairs = [(ours(lab, api, phases.Log(cloud)), reference(lab.engine)) for _ in range(WARM_UP + SAMPLES)][WARM_UP:]
        lab.engine.call("DELETE", f"/containers/{neighbour}?force=1")
    finally:
        lab.close()
    mine, theirs = [seconds for (seconds, _), _ in pairs], [sum(split) for _, split in pairs]
    create, start = (median([split[index] for _, split in pairs]) * 1000 for index in (0, 1))
    return [against("container accepted → running (reference: Docker Engine API, bridge network)", mine, theirs, MUST),
            Row("… by phase", phases.text([split for (_, split), _ in pairs], median), f"create {create:.0f} · start {start:.0f} ms",
                samples=len(pairs)),
            against("the first container of a network, until it runs (reference: Docker Engine API, with the bridge network)", *zip(*firsts))]


def at_once(job):
    """Runs JOB on as many threads as there are containers; the seconds until all have returned, and what they returned."""
    with concurrent.futures.ThreadPoolExecutor(BURST) as pool:
        begun = time.monotonic()
        results = list(pool.map(lambda _: job(), range(BURST)))
        return time.monotonic() - begun, results


def burst_ours(lab):
    begun = time.monotonic()
    at_once(lambda: lab.create(lab.api(), **SIZE))
    api = lab.api()
    while sum(map(running, api.call("GET", "/v1/containers")["containers"])) < BURST:
        time.sleep(POLL_MANY_SECONDS)
    seconds = time.monotonic() - begun
    lab.containers.clean()
    return seconds


def burst_reference():
    seconds, started = at_once(lambda: start_raw(Engine())[0])
    subprocess.run(["docker", "rm", "-f", *started], check=True, capture_output=True)
    return seconds


def measure_burst(cloud):
    lab = Lab(cloud)
    try:
        mine, theirs = zip(*((burst_ours(lab), burst_reference()) for _ in range(BURSTS)))
    finally:
        lab.close()
    return [against(f"{BURST} containers at once, until the last runs (reference: Docker Engine API, as many at once)", mine, theirs, MUST)]
