"""Work of every kind at once, to be interrupted: containers, routed networks with floating IPs, stacks; and what is left of it."""
import contextlib
import random
import threading
import time

import pytest
import requests

from . import host, wait
from .accounts import unique
from .containers import SLEEP, SLEEP_TEXT, remove

SETTLE_SECONDS = 30
FINAL = {"Created", "Running", "Stopped", "Error"}

TEMPLATE = {
    "heat_template_version": "rocky",
    "resources": {
        "group": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "icmp"}]}},
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.90.0.0/24"}},
        "one": {"type": "OS::Zun::Container", "depends_on": "subnet",
                "properties": {"image": "cirros:latest", "command": SLEEP_TEXT, "networks": [{"network": {"get_resource": "net"}}],
                               "security_groups": [{"get_resource": "group"}]}},
    },
}


class Worker(threading.Thread):
    """Makes and removes containers, routed networks with floating IPs, and stacks until told to stop.

    Every answer that the kill swallows is expected; what matters is the state afterwards.
    """

    def __init__(self, account, chance):
        super().__init__(daemon=True)
        self.account, self.chance, self.ended = account, chance, threading.Event()

    def run(self):
        jobs = [self.container, self.routed_network, self.stack]
        while not self.ended.is_set():
            try:
                self.chance.choice(jobs)()
            except (requests.RequestException, AssertionError, KeyError, IndexError, ValueError):
                time.sleep(0.1)

    def container(self):
        made = self.account.container.post("/v1/containers?run=true", {"image": "cirros:latest", "name": unique("crash"), "command": SLEEP})
        time.sleep(self.chance.random() * 2)
        action = self.chance.choice(["stop?timeout=1", "reboot?timeout=1", "pause", None])
        if action:
            self.account.container.request("POST", f"/v1/containers/{made['uuid']}/{action}")
        if self.chance.random() < 0.7:
            self.account.container.request("DELETE", f"/v1/containers/{made['uuid']}?stop=true")

    def routed_network(self):
        api = self.account.network
        network = api.post("/v2.0/networks", {"network": {"name": unique("crash")}})["network"]["id"]
        subnet = api.post("/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.91.0.0/24", "ip_version": 4}})["subnet"]["id"]
        external = api.get("/v2.0/networks?name=ext-net")["networks"][0]["id"]
        router = api.post("/v2.0/routers", {"router": {"external_gateway_info": {"network_id": external}}})["router"]["id"]
        api.put(f"/v2.0/routers/{router}/add_router_interface", {"subnet_id": subnet})
        port = api.post("/v2.0/ports", {"port": {"network_id": network}})["port"]["id"]
        api.post("/v2.0/floatingips", {"floatingip": {"floating_network_id": external, "port_id": port}})
        if self.chance.random() < 0.5:
            remove_networks(self.account)

    def stack(self):
        root = f"/v1/{self.account.project_id}/stacks"
        name = unique("crash")
        made = self.account.orchestration.post(root, {"stack_name": name, "template": TEMPLATE, "timeout_mins": 5})["stack"]["id"]
        time.sleep(self.chance.random() * 3)
        if self.chance.random() < 0.7:
            self.account.orchestration.request("DELETE", f"{root}/{name}/{made}")


@contextlib.contextmanager
def working(account, chance, workers=3):
    """Workers at work for as long as the block runs."""
    running = [Worker(account, random.Random(chance.random())) for _ in range(workers)]
    for worker in running:
        worker.start()
    try:
        yield
    finally:
        for worker in running:
            worker.ended.set()
        for worker in running:
            worker.join(60)


def remove_networks(account):
    """Everything of the project in the network service, in the order of dependencies; what is in use stays for the next try."""
    api = account.network
    own = f"?project_id={account.project_id}"
    for row in api.get("/v2.0/floatingips" + own)["floatingips"]:
        api.request("DELETE", f"/v2.0/floatingips/{row['id']}")
    for row in api.get("/v2.0/routers" + own)["routers"]:
        for port in api.get(f"/v2.0/ports?device_id={row['id']}&device_owner=network:router_interface")["ports"]:
            api.request("PUT", f"/v2.0/routers/{row['id']}/remove_router_interface", {"port_id": port["id"]})
        api.request("DELETE", f"/v2.0/routers/{row['id']}")
    for row in api.get("/v2.0/ports" + own)["ports"]:
        if not row["device_owner"]:
            api.request("DELETE", f"/v2.0/ports/{row['id']}")
    for row in api.get("/v2.0/networks" + own)["networks"]:
        api.request("DELETE", f"/v2.0/networks/{row['id']}")


def unsettled(account):
    """What is in no final state, or does not match Docker."""
    found = []
    for row in account.container.get("/v1/containers")["containers"]:
        if row["status"] not in FINAL | {"Paused"} or row.get("task_state"):
            found.append(f"container {row['uuid']}: {row['status']}, {row.get('task_state')}")
        elif row["status"] != "Error":
            state = host.inspect(row["uuid"])["State"] if host.docker_has(row["uuid"]) else None
            expected = {"Running": "running", "Paused": "paused", "Created": "created"}.get(row["status"], "exited")
            if state is None or state["Status"] != expected:
                found.append(f"container {row['uuid']}: {row['status']}, but Docker says {state and state['Status']}")
    for row in account.orchestration.get(f"/v1/{account.project_id}/stacks")["stacks"]:
        if row["stack_status"].endswith("IN_PROGRESS"):
            found.append(f"stack {row['stack_name']}: {row['stack_status']}")
    for row in account.network.get(f"/v2.0/ports?project_id={account.project_id}")["ports"]:
        if row["device_owner"] == "compute:kuryr" and account.container.request("GET", f"/v1/containers/{row['device_id']}").status == 404:
            found.append(f"port {row['id']} of a container that is gone")
    return found


def settle(account, when):
    """Waits until everything is in a final state that is also Docker's."""
    left = ["never asked"]

    def settled():
        nonlocal left
        left = unsettled(account)
        return not left
    try:
        wait.until(settled, SETTLE_SECONDS, 0.5)
    except AssertionError:
        pytest.fail(f"{when}: not settled after {SETTLE_SECONDS} s:\n" + "\n".join(left), pytrace=False)


def remove_all(account):
    """Everything can be deleted afterwards, which the leak check then confirms on the machine."""
    root = f"/v1/{account.project_id}/stacks"

    def nothing():
        for row in account.orchestration.get(root)["stacks"]:
            account.orchestration.request("DELETE", f"{root}/{row['stack_name']}/{row['id']}")
        for row in account.container.get("/v1/containers")["containers"]:
            remove(account, row["uuid"])
        remove_networks(account)
        own = f"?project_id={account.project_id}"
        return not (account.orchestration.get(root)["stacks"] or account.container.get("/v1/containers")["containers"]
                    or account.network.get("/v2.0/ports" + own)["ports"] or account.network.get("/v2.0/networks" + own)["networks"]
                    or account.network.get("/v2.0/routers" + own)["routers"])
    wait.until(nothing, 120, 1, "removal of everything that the kills left")
