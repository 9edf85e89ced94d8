"""Made and removed again and again: the leak check after this file compares Docker, namespaces, links, rules, rows and tasks
with the state after the first start.

SAHAB_CYCLES says how often (default 24; 200 for the long run).
"""
import concurrent.futures
import os

from support.load import TEMPLATE

CYCLES = int(os.environ.get("SAHAB_CYCLES", "24"))
AT_ONCE = 4


def cycles(once):
    """Calls ONCE with each number, a few at a time; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(once, range(CYCLES)))


def test_containers(tenant, networks_of, containers_of):
    network, _ = networks_of(tenant).network("10.93.0.0/24")
    containers = containers_of(tenant)

    def once(_):
        made = containers.run(nets=[{"network": network["id"]}])
        containers.delete(made["uuid"])
    cycles(once)
    assert tenant.network.get(f"/v2.0/ports?network_id={network['id']}&device_owner=compute:kuryr")["ports"] == []


def test_routed_networks_with_floating_ips(tenant, networks_of):
    external = networks_of(tenant).named("ext-net")

    def once(number):
        networks = networks_of(tenant)
        network, subnet = networks.network(f"10.94.{number}.0/24")
        networks.router(subnet, external=external)
        port = networks.port(network)
        networks.floating_ip(external, port["id"])
        networks.clean()
    cycles(once)


def test_stacks(tenant, stacks_of):
    stacks = stacks_of(tenant)

    def once(_):
        stacks.delete(stacks.deploy(TEMPLATE))
    cycles(once)
