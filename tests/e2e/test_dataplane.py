"""Real packets: who reaches whom, by which address and name, and what the kernel refuses."""
import dataclasses
import ipaddress
import json
import subprocess

import pytest

from support import host, outside as world, packets, wait
from support.accounts import unique

TCP = {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}
PING = {"protocol": "icmp"}
LISTEN = "nc -ll -p 7000 -e echo served"


@pytest.fixture
def lab(tenant, networks_of, containers_of):
    """A tenant's network with both families behind a router to ext-net, and its containers."""
    class Lab:
        def __init__(self):
            self.account = tenant
            self.networks, self.containers = networks_of(tenant), containers_of(tenant)
            self.external = self.networks.named("ext-net")
            self.network, self.subnet = self.networks.network("10.60.0.0/24", "fd00:60::/64")

        def route(self):
            return self.networks.router(self.subnet, external=self.external)

        def group(self, *rules):
            return self.networks.group(*rules)

        def run(self, group=None, network=None, script=None, **fields):
            if group:
                fields["security_groups"] = [group["id"]]
            if script:
                # As a first process `nc` would ignore SIGTERM.
                fields["command"] = ["sh", "-c", f"trap exit TERM; ({script}) & wait"]
            return self.containers.run(nets=[{"network": (network or self.network)["id"]}], **fields)

        def ping(self, source, address, count=2):
            family = "-6" if ":" in address else "-4"
            return self.containers.execute(source["uuid"], f"ping {family} -c {count} -W 1 {address}")[0] == 0

        def asks(self, source, address, port=7000):
            """What a TCP connection gets back; empty when there is none."""
            return self.containers.shell(source["uuid"], f"echo | nc -w 2 {address} {port} 2>/dev/null")[1].strip()

        def address(self, container, version=4):
            return self.containers.address(container, version)
    return Lab()


# ---- one network ----

def test_members_of_the_default_group_reach_each_other_in_both_families(lab):
    one, two = lab.run(), lab.run()
    for version in (4, 6):
        assert lab.ping(one, lab.address(two, version))
    assert not host.reachable(lab.address(two)), "a tenant's network must not be reachable from the host"


def test_names_resolve_inside_a_network(lab):
    name = unique("namesake")
    one, two = lab.run(), lab.run(name=name)
    assert lab.ping(one, name)
    assert lab.address(two) in lab.containers.execute(one["uuid"], f"ping -4 -c 1 {name}")[1]


def test_mac_and_mtu_are_those_of_the_port(lab):
    one = lab.run()
    port = lab.account.network.get(f"/v2.0/ports/{lab.containers.port(one)}")["port"]
    mtu = lab.account.network.get(f"/v2.0/networks/{lab.network['id']}")["network"]["mtu"]
    link = lab.containers.shell(one["uuid"], "ip -o link show eth0")[1]
    assert port["mac_address"] in link and f"mtu {mtu} " in link


def test_two_tenants_use_the_same_addresses(lab, other, networks_of, containers_of):
    """The same range, even the same address, in two projects: each meets only its own."""
    theirs, their_containers = networks_of(other), containers_of(other)
    network, _ = theirs.network("10.60.0.0/24", "fd00:60::/64")
    ports = [kind.port(net, fixed_ips=[{"ip_address": "10.60.0.50"}, {"ip_address": "fd00:60::50"}])
             for kind, net in ((lab.networks, lab.network), (theirs, network))]
    mine = lab.containers.run(nets=[{"port": ports[0]["id"]}], command=["sh", "-c", "nc -ll -p 7000 -e echo mine"])
    their = their_containers.run(nets=[{"port": ports[1]["id"]}], command=["sh", "-c", "nc -ll -p 7000 -e echo theirs"])
    for version, address in ((4, "10.60.0.50"), (6, "fd00:60::50")):
        assert lab.containers.address(mine, version) == their_containers.address(their, version) == address
    near = lab.run()
    for address in ("10.60.0.50", "fd00:60::50"):
        assert wait.until(lambda address=address: lab.asks(near, address), 10) == "mine"
    # What only the other tenant has is nowhere, and neither is what he would route to us.
    assert their_containers.address(their_containers.run(nets=[{"network": network["id"]}]))
    lonely = theirs.port(network, fixed_ips=[{"ip_address": "10.60.0.51"}])
    their_containers.run(nets=[{"port": lonely["id"]}])
    assert not lab.ping(near, "10.60.0.51", count=1)
    their_containers.clean()


# ---- security groups ----

def test_nothing_comes_in_without_a_rule(lab):
    closed, client = lab.group(), lab.run()
    server = lab.run(closed, script=LISTEN)
    for version in (4, 6):
        assert not lab.ping(client, lab.address(server, version), count=1)
    assert lab.asks(client, lab.address(server)) == ""


def test_rules_open_what_they_say_at_once(lab):
    group, client = lab.group(), lab.run()
    server = lab.run(group, script=f"{LISTEN} & nc -ll -p 7001 -e echo other")
    address = lab.address(server)
    rule = lab.networks.rule(group, protocol="tcp", port_range_min=7000, port_range_max=7000)
    assert wait.until(lambda: lab.asks(client, address), 10) == "served"
    assert lab.asks(client, address, 7001) == "" and not lab.ping(client, address, count=1)
    lab.account.network.delete(f"/v2.0/security-group-rules/{rule['id']}")
    wait.until(lambda: lab.asks(client, address) == "", 10)


def test_rules_for_a_prefix_and_for_a_group(lab):
    friends = lab.group()
    friend, stranger = lab.run(friends), lab.run()
    group = lab.group({**TCP, "remote_group_id": friends["id"]},
                      {**PING, "remote_ip_prefix": lab.address(stranger) + "/32"})
    server = lab.run(group, script=LISTEN)
    address = lab.address(server)
    assert wait.until(lambda: lab.asks(friend, address), 10) == "served" and lab.asks(stranger, address) == ""
    assert lab.ping(stranger, address) and not lab.ping(friend, address, count=1)
    late = lab.run(friends)
    assert wait.until(lambda: lab.asks(late, address), 10) == "served", "a new member of the remote group is let in"


def test_taking_a_permission_away_ends_established_flows(lab):
    group, client = lab.group(), lab.run()
    rule = lab.networks.rule(group, protocol="tcp", port_range_min=7000, port_range_max=7000)
    server = lab.run(group, script="while true; do nc -l -p 7000 -e sh -c \"while sleep 0.2; do date +%s%N; done\"; done")
    lab.containers.shell(client["uuid"], f"(nc {lab.address(server)} 7000 > /tmp/flow; echo) >/dev/null 2>&1 &")

    def received():
        return int(lab.containers.shell(client["uuid"], "wc -c < /tmp/flow")[1] or 0)
    wait.until(lambda: received() > 100, 20, what="data on the flow")
    lab.account.network.delete(f"/v2.0/security-group-rules/{rule['id']}")

    def stalled():
        before = received()
        lab.containers.shell(client["uuid"], "sleep 2")
        return received() == before
    wait.until(stalled, 20, what="the end of the established flow")


def test_a_port_of_its_own_direction_only(lab):
    """Without egress rules a container reaches nobody, though the other side lets all in."""
    group = lab.group()
    for rule in lab.account.network.get(f"/v2.0/security-groups/{group['id']}")["security_group"]["security_group_rules"]:
        lab.account.network.delete(f"/v2.0/security-group-rules/{rule['id']}")
    target = lab.run(lab.group(PING))
    assert not lab.ping(lab.run(group), lab.address(target), count=1)
    assert lab.ping(lab.run(), lab.address(target))


# ---- routers, SNAT, floating IPs ----

def test_out_through_the_router(lab, outside):
    """Behind a router a container reaches the outside world; the world sees the machine's own address, not the tenant's."""
    one = lab.run()
    assert lab.containers.shell(one["uuid"], f"curl -s -m 2 {outside.url}")[0] != 0
    lab.route()

    def answer():
        return lab.containers.shell(one["uuid"], f"curl -s -m 3 {outside.url}")[1]
    assert wait.until(answer, 20) == f"from {world.UPLINK}"


def test_between_two_networks_of_one_router(lab):
    second, subnet = lab.networks.network("10.61.0.0/24")
    router = lab.route()
    lab.account.network.put(f"/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    try:
        open_to_all = lab.group(PING)
        one, two = lab.run(open_to_all), lab.run(open_to_all, network=second)
        wait.until(lambda: lab.ping(one, lab.address(two)), 20)
    finally:
        lab.containers.clean()
        lab.account.network.put(f"/v2.0/routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})


def test_floating_ip_in_and_out(lab, outside):
    lab.route()
    server = lab.run(lab.group(PING, TCP), script=LISTEN)
    floating = lab.networks.floating_ip(lab.external, lab.containers.port(server))
    address = floating["floating_ip_address"]
    wait.until(lambda: host.reachable(address, 7000), 20)
    assert host.reachable(address)
    path = f"/v2.0/floatingips/{floating['id']}"
    assert wait.until(lambda: lab.account.network.get(path)["floatingip"]["status"] == "ACTIVE", 10)
    lab.account.network.put(path, {"floatingip": {"port_id": None}})
    wait.until(lambda: not host.reachable(address, 7000, 1), 15)


def test_a_floating_ip_moves_to_another_container(lab):
    lab.route()
    group = lab.group(TCP)
    one = lab.run(group, script="nc -ll -p 7000 -e echo one")
    two = lab.run(group, script="nc -ll -p 7000 -e echo two")
    floating = lab.networks.floating_ip(lab.external, lab.containers.port(one))

    def served():
        done = subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{floating['floating_ip_address']}/7000; cat <&3"],
                              capture_output=True, text=True, timeout=5)
        return done.stdout.strip()
    wait.until(lambda: served() == "one", 20)
    lab.account.network.put(f"/v2.0/floatingips/{floating['id']}", {"floatingip": {"port_id": lab.containers.port(two)}})
    wait.until(lambda: served() == "two", 20)


def test_a_container_on_ext_net_is_reached_and_reaches_out(demo_containers, demo, networks_of, outside):
    group = networks_of(demo).group(PING, TCP)
    shown = demo_containers.run(security_groups=[group["id"]], command=["sh", "-c", LISTEN])
    wait.until(lambda: host.reachable(demo_containers.address(shown), 7000), 20)
    assert demo_containers.shell(shown["uuid"], f"curl -s -m 3 {outside.url}")[1] == f"from {world.UPLINK}"
    demo_containers.clean()


# ---- anti-spoofing ----

def test_spoofed_addresses_do_not_leave_the_port(lab):
    """From inside a container with all the rights Docker gives: a false source address, MAC, or ARP answer goes nowhere."""
    group = lab.group(PING)
    liar, witness = lab.run(group), lab.run(group)
    uuid, target = liar["uuid"], lab.address(witness)
    assert lab.ping(liar, target)
    inside = ["nsenter", "-t", str(host.inspect(uuid)["State"]["Pid"]), "-n"]
    # Its own address replaced by a neighbour's: no answer, and the neighbour is not disturbed.
    free = str(ipaddress.ip_address(target) + 20)
    host.run(*inside, "ip", "address", "add", f"{free}/24", "dev", "eth0")
    assert host.run(*inside, "ping", "-c", "1", "-W", "1", "-I", free, target, check=False).count(" 0 received")
    host.run(*inside, "ip", "address", "del", f"{free}/24", "dev", "eth0")
    assert lab.ping(liar, target)
    # Another MAC address.
    own = host.run(*inside, "cat", "/sys/class/net/eth0/address", check=False).strip()
    host.run(*inside, "ip", "link", "set", "eth0", "address", "fa:16:3e:00:de:ad")
    assert not lab.ping(liar, target, count=1)
    port = lab.account.network.get(f"/v2.0/ports/{lab.containers.port(liar)}")["port"]
    host.run(*inside, "ip", "link", "set", "eth0", "address", port["mac_address"])
    wait.until(lambda: lab.ping(liar, target), 20)
    assert own != "fa:16:3e:00:de:ad"


@dataclasses.dataclass
class Party:
    """A container with its addresses by IP version and a process in its namespace."""
    addresses: dict
    pid: int

    def run(self, *command, check=True):
        return host.run("nsenter", "-t", str(self.pid), "-n", *command, check=check)

    @property
    def mac(self):
        return json.loads(self.run("ip", "-j", "link", "show", "eth0"))[0]["address"]

    def neighbour(self, address):
        """The MAC address that it believes this address to be at."""
        known = json.loads(self.run("ip", "-j", "neighbour", "show", address))
        return known[0].get("lladdr") if known else None


@pytest.fixture
def two(lab):
    """A liar and a witness who let each other's ping and UDP in."""
    group = lab.group(PING, {"protocol": "udp"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}, {"protocol": "udp", "ethertype": "IPv6"})
    return [Party({4: lab.address(one), 6: lab.address(one, 6)}, host.inspect(one["uuid"])["State"]["Pid"])
            for one in (lab.run(group), lab.run(group))]


@pytest.mark.parametrize("version, address, claim", [(4, "10.60.0.1", "arp"), (6, "fd00:60::1", "neighbour")], ids=["ARP", "IPv6"])
def test_nobody_takes_the_gateways_address(lab, two, version, address, claim):
    """ARP answers and neighbour advertisements that claim the gateway for the liar's MAC do not reach the witness."""
    liar, witness = two
    subnets = lab.account.network.get(f"/v2.0/subnets?network_id={lab.network['id']}")["subnets"]
    router = lab.networks.router(*subnets, external=lab.external)

    def gateway():
        witness.run("ping", f"-{version}", "-c", "1", "-W", "1", address, check=False)
        return witness.neighbour(address)
    true_mac = wait.until(gateway, 20, what="an answer of the gateway")
    packets.inside(liar.pid, claim, address, witness.addresses[version], witness.mac)
    assert witness.neighbour(address) == true_mac, f"the gateway of router {router['id']} was taken over"
    # The claim of an address that is the liar's own is believed: what is sent arrives where nothing forbids it.
    packets.inside(liar.pid, claim, liar.addresses[version], witness.addresses[version], witness.mac)
    witness.run("ping", f"-{version}", "-c", "1", "-W", "2", liar.addresses[version])
    assert witness.neighbour(liar.addresses[version]) == liar.mac
    lab.containers.clean()


@pytest.mark.parametrize("version, stranger", [(4, "10.60.0.201"), (6, "fd00:60::c9")])
def test_a_false_source_in_a_hand_made_frame_goes_nowhere(lab, two, version, stranger):
    """Another's address, another's MAC, both, and addresses of other places: only the true one arrives, though it was sent last."""
    liar, witness = two
    third = lab.run()
    listener = packets.listen(witness.pid, version, 5001, 10)
    false = [(lab.address(third, version), ""), (stranger, ""), (liar.addresses[version], "fa:16:3e:00:de:ad"), (stranger, "fa:16:3e:00:de:ad"),
             ("10.60.0.1", "") if version == 4 else ("fd00:60::1", ""), ("127.0.0.1", "") if version == 4 else ("::1", ""),
             ("198.51.100.1", "") if version == 4 else ("2001:db8::1", "")]
    for address, mac in false:
        packets.inside(liar.pid, "datagram", address, mac, witness.addresses[version], witness.mac, 5001, f"false {address} {mac}")
    packets.inside(liar.pid, "datagram", liar.addresses[version], "", witness.addresses[version], witness.mac, 5001, "true")
    assert listener.communicate()[0].strip() == "got true"


@pytest.mark.parametrize("family, source, target, said", [
    (4, 5000, 5001, "got hello"), (4, 67, 68, "nothing"), (6, 5000, 5001, "got hello"), (6, 547, 546, "nothing")],
    ids=["UDP", "DHCP", "UDP over IPv6", "DHCPv6"])
def test_nobody_plays_dhcp_server(two, family, source, target, said):
    """The server's port to the client's is closed; the same packet between other ports arrives."""
    liar, witness = two
    listener = packets.listen(witness.pid, family, target, 3)
    packets.inside(liar.pid, "send", family, source, witness.addresses[family], target, "hello")
    assert listener.communicate()[0].strip() == said


def test_nobody_plays_ipv6_router(two):
    """Neither an address nor a route comes from a container's router advertisements."""
    liar, witness = two
    packets.inside(liar.pid, "advertise", "2001:db8:bad::")
    # The ping behind them has arrived, so they have too, or never will.
    liar.run("ping", "-6", "-c", "1", "-W", "2", witness.addresses[6])
    shown = witness.run("ip", "-6", "address") + witness.run("ip", "-6", "route")
    assert "2001:db8:bad" not in shown and "default via fe80" not in shown


# ---- Docker's own command on a tenant's network ----

def test_docker_run_joins_a_tenant_network(lab):
    """docker network create -d sahab and docker run on the host: the driver hands out a port's address."""
    near = lab.run()
    name = unique("joined")
    host.docker("network", "create", "-d", "sahab", "--ipam-driver", "null", "-o", f"sahab.network={lab.network['id']}", name)
    container = ""
    try:
        container = host.docker("run", "-d", "--network", name, "cirros:latest", "sleep", "1000")
        text = host.docker("exec", container, "ip", "-4", "-o", "address", "show", "eth0")
        address = text.split()[3].split("/")[0]
        assert ipaddress.ip_address(address) in ipaddress.ip_network("10.60.0.0/24")
        host.docker("exec", container, "ping", "-c", "2", lab.address(near))
    finally:
        if container:
            host.docker("rm", "-f", container)
        host.docker("network", "rm", name)

    def no_ports():
        ports = lab.account.network.get(f"/v2.0/ports?network_id={lab.network['id']}")["ports"]
        return [row["id"] for row in ports if row["device_id"] not in ("", near["uuid"])] == []
    wait.until(no_ports, 20, what="removal of the port that docker run took")
