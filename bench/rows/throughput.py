"""Traffic between two containers: a tenant's network with security groups against Docker's bridge, and the price of rules."""
import json
import subprocess
import sys
import time

from support import host
from support.containers import Containers
from support.networks import Networks

from .common import Bound, Row, median

TIMES = 15
SECONDS = 2
PACKETS = 100_000
RULES = 1000

# Small datagrams that nobody answers: connection tracking calls every one NEW, so each walks the rules.
BLAST = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9000))
begun = time.perf_counter()
for _ in range({packets}):
    try: s.send(b"x" * 16)
    except ConnectionRefusedError: pass
print((time.perf_counter() - begun) / {packets} * 1e6)
""".format(packets=PACKETS)
SINK = "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9000)); time.sleep(100000)"


def inside(pid, *command):
    return ["nsenter", "-t", str(pid), "-n", *command]


def gigabits(server, client, address):
    """Throughput of one TCP stream between two network namespaces, named by a process in each."""
    listener = subprocess.Popen(inside(server, "iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        done = subprocess.run(inside(client, "iperf3", "-c", address, "-t", str(SECONDS), "-J"), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9
    finally:
        listener.terminate()
        listener.wait()


def packet_cost(server, client, address):
    """Microseconds that the sender spends on one small datagram."""
    sink = subprocess.Popen(inside(server, sys.executable, "-c", SINK))
    try:
        time.sleep(0.3)
        done = subprocess.run(inside(client, sys.executable, "-c", BLAST, address), capture_output=True, text=True, check=True)
        return float(done.stdout)
    finally:
        sink.terminate()
        sink.wait()


class Reference:
    """Two containers on docker0."""

    def __enter__(self):
        self.names = [host.docker("run", "-d", "busybox", "sleep", "100000") for _ in range(2)]
        inspected = json.loads(host.docker("inspect", *self.names))
        self.pids = [one["State"]["Pid"] for one in inspected]
        self.address = inspected[0]["NetworkSettings"]["IPAddress"]
        return self

    def __exit__(self, *_):
        host.docker("rm", "-f", *self.names)


def measure(cloud):
    admin = cloud.account("admin")
    account = admin.new_project()
    admin.network.put(f"/v2.0/quotas/{account.project_id}", {"quota": {"security_group_rule": -1}})
    networks, containers = Networks(account), Containers(account)
    try:
        network, _ = networks.network("10.130.0.0/24")
        few = networks.group({"protocol": "tcp"}, {"protocol": "udp", "port_range_min": 9000, "port_range_max": 9000})
        many = networks.group()
        # The one that lets the datagrams in comes last.
        rules = [{"protocol": "udp", "port_range_min": 10000 + number, "port_range_max": 10000 + number,
                  "remote_ip_prefix": f"10.{number // 250}.{number % 250}.0/24"} for number in range(RULES - 1)]
        rules.append({"protocol": "udp", "port_range_min": 9000, "port_range_max": 9000})
        rules = [{"security_group_id": many["id"], "direction": "ingress", **rule} for rule in rules]
        account.network.post("/v2.0/security-group-rules", {"security_group_rules": rules}, expect=(201,))

        def run(group):
            shown = containers.run("busybox:latest", nets=[{"network": network["id"]}], security_groups=[group["id"]])
            return containers.address(shown), host.inspect(shown["uuid"])["State"]["Pid"]
        (address, server), (_, client), (burdened_address, burdened) = run(few), run(few), run(many)
        with Reference() as reference:
            ours, theirs, one, thousand = [], [], [], []
            for _ in range(TIMES):
                ours.append(gigabits(server, client, address))
                theirs.append(gigabits(*reference.pids, reference.address))
                one.append(packet_cost(server, client, address))
                thousand.append(packet_cost(burdened, client, burdened_address))
    finally:
        containers.clean()
        networks.clean()
        admin.drop_project(account)
    return [compared("throughput between two containers, groups on (reference: docker0)", "Gbit/s", ours, theirs, Bound(0.9, most=False)),
            compared(f"cost of a packet under a group of {RULES:,} rules (reference: a group of one)", "µs", thousand, one, Bound(1.3))]


def compared(what, unit, ours, reference, bound):
    shown = (f"{median(values):.2f} {unit}" for values in (ours, reference))
    return Row(what, *shown, median(ours) / median(reference), bound=bound, samples=len(ours))
