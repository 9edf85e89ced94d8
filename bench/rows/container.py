"""One container from its acceptance to running, and fifty at once, against the raw Docker Engine API on a bridge network."""
import json
import subprocess
import threading
import time

from support.containers import Containers, remove

from .common import SAMPLES, Engine, Row, against, median

IMAGE = "busybox:latest"
COMMAND = ["sleep", "1000"]
BURST = 50
NETWORK = "bench-reference"


class Events(threading.Thread):
    """Docker's own times of create and start, by container name."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = {}
        self.process = subprocess.Popen(["docker", "events", "--filter", "type=container", "--format", "{{json .}}"],
                                        stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["Action"] in ("create", "start"):
                name = event["Actor"]["Attributes"]["name"]
                self.seen.setdefault(name, {})[event["Action"]] = event["timeNano"] / 1e9

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ours(containers, network):
    """(seconds, phases) of one container: accepted, created in Docker, started by Docker, seen as Running."""
    begun, clock = time.monotonic(), time.time()
    made = containers.create(IMAGE, command=COMMAND, nets=[{"network": network}])
    accepted = time.monotonic() - begun
    while containers.show(made["uuid"])["status"] != "Running":
        time.sleep(0.003)
    return made["uuid"], time.monotonic() - begun, accepted, clock


def reference(engine, number):
    name = f"bench-{number}-{time.monotonic_ns()}"
    begun = time.monotonic()
    engine.call("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": COMMAND, "HostConfig": {"NetworkMode": NETWORK}})
    engine.call("POST", f"/containers/{name}/start")
    seconds = time.monotonic() - begun
    return name, seconds


def tenant_network(account):
    network = account.network.post("/v2.0/networks", {"network": {"name": "bench"}})["network"]["id"]
    account.network.post("/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.120.0.0/22", "ip_version": 4}})
    return network


class Lab:
    """A tenant's network and a Docker bridge network side by side."""

    def __init__(self, cloud):
        self.admin = cloud.account("admin")
        self.account = self.admin.new_project()
        self.admin.container.put(f"/v1/quotas/{self.account.project_id}", {"containers": 1000, "cpu": 10000, "memory": 10**7})
        self.admin.network.put(f"/v2.0/quotas/{self.account.project_id}", {"quota": {"port": -1, "network": -1}})
        self.network = tenant_network(self.account)
        self.containers = Containers(self.account)
        self.engine = Engine()
        subprocess.run(["docker", "network", "create", "--subnet", "172.31.0.0/22", NETWORK], check=True, capture_output=True)

    def close(self):
        self.containers.clean()
        self.account.network.delete(f"/v2.0/networks/{self.network}")
        subprocess.run(["docker", "network", "rm", NETWORK], check=True, capture_output=True)
        self.admin.drop_project(self.account)


def measure(cloud):
    lab, events = Lab(cloud), Events()
    mine, theirs, phases = [], [], []
    try:
        for number in range(SAMPLES + 2):
            uuid, seconds, accepted, clock = ours(lab.containers, lab.network)
            name, reference_seconds = reference(lab.engine, number)
            lab.engine.call("DELETE", f"/containers/{name}?force=1")
            remove(lab.account, uuid)
            lab.containers.gone(uuid)
            if number < 2:  # the first ones make the namespace and warm the caches
                continue
            mine.append(seconds)
            theirs.append(reference_seconds)
            seen = events.seen.get(f"zun-{uuid}", {})
            if {"create", "start"} <= set(seen):
                phases.append((accepted, seen["create"] - clock, seen["start"] - clock, seconds))
    finally:
        events.stop()
        lab.close()
    rows = [against("container accepted → running (reference: Docker API, bridge network)", mine, theirs, "≤ 1.15, wish ≤ 0.6")]
    if phases:
        accepted, created, started, running = (median([phase[index] for phase in phases]) * 1000 for index in range(4))
        rows.append(Row("… of it: answered 202 · created in Docker · started by Docker · shown as Running",
                        f"{accepted:.0f} · {created:.0f} · {started:.0f} · {running:.0f} ms"))
    return rows


def measure_burst(cloud):
    lab = Lab(cloud)
    mine, theirs = [], []
    try:
        for _ in range(max(1, SAMPLES // 7)):
            mine.append(burst(lambda _: ours(lab.containers, lab.network)[0]))
            lab.containers.clean()
            names = []
            theirs.append(burst(lambda number: names.append(reference(Engine(), number)[0])))
            subprocess.run(["docker", "rm", "-f", *names], check=True, capture_output=True)
    finally:
        lab.close()
    return [against(f"{BURST} containers at once, until the last runs", mine, theirs, "≤ 1.15")]


def burst(job):
    """Seconds until all have run."""
    faults = []

    def guarded(number):
        try:
            job(number)
        except Exception as fault:  # the thread's fault must fail the measurement
            faults.append(fault)
    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(BURST)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return time.monotonic() - begun
