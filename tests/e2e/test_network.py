"""The network API: validation, ownership, lists, and what upstream's clients send. Packets are in test_dataplane."""
import pytest

from support.accounts import unique


def error(answer):
    """(type, message) of a network error body."""
    body = answer.json["NeutronError"]
    assert set(body) == {"type", "message", "detail"}
    return body["type"], body["message"]


# ---- networks, subnets, ports ----

def test_example_networks(demo):
    networks = {network["name"]: network for network in demo.network.get("/v2.0/networks")["networks"]}
    assert networks["ext-net"]["router:external"] and networks["ext-net"]["shared"]
    assert networks["flat-lan-1-net"]["shared"] and not networks["flat-lan-1-net"]["router:external"]
    assert not any(network["tenant_id"] == demo.project_id for network in networks.values())


def test_network_with_both_families(tenant, networks_of):
    network, subnet = networks_of(tenant).network("10.20.30.0/24", "fd00:77::/64")
    shown = tenant.network.get(f"/v2.0/networks/{network['id']}")["network"]
    assert shown["status"] == "ACTIVE" and len(shown["subnets"]) == 2 and shown["project_id"] == tenant.project_id
    assert subnet["gateway_ip"] == "10.20.30.1"
    assert subnet["allocation_pools"] == [{"start": "10.20.30.2", "end": "10.20.30.254"}]


def test_port_gets_addresses_of_each_family_and_the_default_group(tenant, networks_of):
    networks = networks_of(tenant)
    network, _ = networks.network("10.20.31.0/24", "fd00:78::/64")
    port = networks.port(network)
    assert len(port["fixed_ips"]) == 2 and port["mac_address"].startswith("fa:16:3e:")
    groups = tenant.network.get("/v2.0/security-groups")["security_groups"]
    assert port["security_groups"] == [group["id"] for group in groups if group["name"] == "default"]


def test_fixed_address_is_honoured_and_taken_once(tenant, networks_of):
    networks = networks_of(tenant)
    network, subnet = networks.network("10.20.32.0/24")
    wanted = {"subnet_id": subnet["id"], "ip_address": "10.20.32.77"}
    assert networks.port(network, fixed_ips=[wanted])["fixed_ips"] == [wanted]
    answer = tenant.network.request("POST", "/v2.0/ports", {"port": {"network_id": network["id"], "fixed_ips": [wanted]}})
    assert error(answer.expect(409))[0] == "IpAddressAlreadyAllocated"


@pytest.mark.parametrize("fields, kind", [
    ({"cidr": "10.0.0.0/33"}, "HTTPBadRequest"), ({"cidr": "nonsense"}, "HTTPBadRequest"), ({"cidr": 5}, "HTTPBadRequest"),
    ({"cidr": "10.0.0.0/24", "ip_version": 6}, None), ({"cidr": "10.0.0.0/24", "gateway_ip": "not an address"}, None),
    ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.1.1", "end": "10.0.1.9"}]}, None),
    ({"cidr": "10.0.0.0/24", "unknown_field": 1}, "HTTPBadRequest"), ({"cidr": "10.0.0.0/24", "name": "x" * 300}, "HTTPBadRequest")])
def test_bad_subnets_are_refused_with_a_reason(tenant, networks_of, fields, kind):
    network, _ = networks_of(tenant).network("10.99.0.0/24")
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, **fields}}
    found, message = error(tenant.network.request("POST", "/v2.0/subnets", body).expect(400))
    assert message and (kind is None or found == kind)


def test_overlapping_subnet_of_one_network_is_refused(tenant, networks_of):
    network, _ = networks_of(tenant).network("10.20.33.0/24")
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.20.33.128/25"}}
    tenant.network.request("POST", "/v2.0/subnets", body).expect(400)


def test_a_network_with_ports_in_use_is_not_deleted(tenant, networks_of):
    networks = networks_of(tenant)
    network, _ = networks.network("10.20.34.0/24")
    networks.port(network)
    kind, message = error(tenant.network.request("DELETE", f"/v2.0/networks/{network['id']}").expect(409))
    assert kind == "NetworkInUse" and network["id"] in message


# ---- another project's things are not there ----

def test_other_projects_are_not_seen(tenant, other, networks_of):
    networks = networks_of(tenant)
    network, subnet = networks.network("10.20.35.0/24")
    things = {"networks": network, "subnets": subnet, "ports": networks.port(network), "security-groups": networks.group(),
              "routers": networks.router()}
    for collection, thing in things.items():
        path = f"/v2.0/{collection}/{thing['id']}"
        for method in ("GET", "DELETE"):
            other.network.request(method, path).expect(404)
        listed = other.network.get(f"/v2.0/{collection}")[collection.replace("-", "_")]
        assert thing["id"] not in [row["id"] for row in listed]
    answer = other.network.request("POST", "/v2.0/ports", {"port": {"network_id": network["id"]}}).expect(404)
    assert error(answer)[0] == "NetworkNotFound"


def test_a_member_cannot_share_or_make_external(tenant):
    for field in ("shared", "router:external"):
        tenant.network.request("POST", "/v2.0/networks", {"network": {"name": "x", field: True}}).expect(403)


# ---- security groups ----

def test_default_group(tenant):
    groups = tenant.network.get("/v2.0/security-groups?name=default")["security_groups"]
    assert len(groups) == 1
    rules = {(r["direction"], r["ethertype"], r["remote_group_id"]) for r in groups[0]["security_group_rules"]}
    assert rules == {("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", groups[0]["id"]),
                     ("ingress", "IPv6", groups[0]["id"])}
    tenant.network.request("DELETE", f"/v2.0/security-groups/{groups[0]['id']}").expect(409)


def test_rules_as_heat_sends_them(tenant, networks_of):
    """In bulk, ports as text, every absent field as null."""
    group = networks_of(tenant).group()
    rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
            "port_range_min": "80", "port_range_max": "80", "remote_ip_prefix": None, "remote_group_id": None}
    ping = {**rule, "protocol": "icmp", "port_range_min": None, "port_range_max": None}
    made = tenant.network.post("/v2.0/security-group-rules", {"security_group_rules": [rule, ping]}, expect=(201,))
    assert [row["port_range_min"] for row in made["security_group_rules"]] == [80, None]


@pytest.mark.parametrize("fields", [
    {"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, {"protocol": "nonsense"}, {"ethertype": "IPv5"},
    {"protocol": "tcp", "port_range_min": 70000, "port_range_max": 70000}, {"remote_ip_prefix": "10.0.0.0/99"},
    {"port_range_min": 80, "port_range_max": 80}, {"direction": "sideways"}])
def test_bad_rules_are_refused(tenant, networks_of, fields):
    group = networks_of(tenant).group()
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", **fields}}
    tenant.network.request("POST", "/v2.0/security-group-rules", body).expect(400)


def test_a_rule_exists_once(tenant, networks_of):
    networks = networks_of(tenant)
    group = networks.group({"protocol": "tcp", "port_range_min": 80, "port_range_max": 80})
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp",
                                    "port_range_min": 80, "port_range_max": 80}}
    assert error(tenant.network.request("POST", "/v2.0/security-group-rules", body).expect(409))[0] == "SecurityGroupRuleExists"


# ---- routers and floating IPs ----

def test_router_with_interface_and_gateway(tenant, networks_of):
    networks = networks_of(tenant)
    _, subnet = networks.network("10.20.36.0/24")
    external = networks.named("ext-net")
    router = networks.router(subnet, external=external)
    shown = tenant.network.get(f"/v2.0/routers/{router['id']}")["router"]
    assert shown["status"] == "ACTIVE" and shown["external_gateway_info"]["network_id"] == external
    assert shown["external_gateway_info"]["enable_snat"] is True
    ports = tenant.network.get(f"/v2.0/ports?device_id={router['id']}")["ports"]
    assert [row["fixed_ips"][0]["ip_address"] for row in ports if row["device_owner"] == "network:router_interface"] == ["10.20.36.1"]
    tenant.network.request("DELETE", f"/v2.0/routers/{router['id']}").expect(409)


def test_floating_ip_follows_a_port(tenant, networks_of):
    networks = networks_of(tenant)
    network, subnet = networks.network("10.20.37.0/24")
    external = networks.named("ext-net")
    networks.router(subnet, external=external)
    port, second = networks.port(network), networks.port(network)
    floating = networks.floating_ip(external, port["id"])
    assert floating["fixed_ip_address"] == port["fixed_ips"][0]["ip_address"] and floating["port_id"] == port["id"]
    path = f"/v2.0/floatingips/{floating['id']}"
    moved = tenant.network.put(path, {"floatingip": {"port_id": second["id"]}})["floatingip"]
    assert moved["fixed_ip_address"] == second["fixed_ips"][0]["ip_address"]
    freed = tenant.network.put(path, {"floatingip": {"port_id": None}})["floatingip"]
    assert freed["fixed_ip_address"] is None and freed["router_id"] is None


def test_floating_ip_needs_a_way_to_the_port(tenant, networks_of):
    networks = networks_of(tenant)
    network, _ = networks.network("10.20.38.0/24")
    body = {"floatingip": {"floating_network_id": networks.named("ext-net"), "port_id": networks.port(network)["id"]}}
    assert error(tenant.network.request("POST", "/v2.0/floatingips", body).expect(404))[0] == "ExternalGatewayForFloatingIPNotFound"


# ---- lists, tags, quotas, extensions ----

def test_lists_filter_sort_and_page(tenant, networks_of):
    networks = networks_of(tenant)
    names = sorted(unique("sorted") for _ in range(3))
    made = {name: networks.network("10.20.39.0/24", name=name)[0]["id"] for name in names}
    own = f"project_id={tenant.project_id}"
    listed = tenant.network.get(f"/v2.0/networks?{own}&sort_key=name&sort_dir=desc&fields=name&fields=id")["networks"]
    assert listed == [{"name": name, "id": made[name]} for name in reversed(names)]
    first = tenant.network.get(f"/v2.0/networks?{own}&sort_key=name&sort_dir=asc&limit=2")
    assert [row["name"] for row in first["networks"]] == names[:2]
    following = next(link["href"] for link in first["networks_links"] if link["rel"] == "next")
    rest = tenant.network.get(following.split("/network", 1)[1])["networks"]
    assert [row["name"] for row in rest] == names[2:]
    assert [row["id"] for row in tenant.network.get(f"/v2.0/networks?name={names[1]}")["networks"]] == [made[names[1]]]


def test_tags(tenant, networks_of):
    network, _ = networks_of(tenant).network("10.20.40.0/24")
    path = f"/v2.0/networks/{network['id']}/tags"
    tenant.network.put(path, {"tags": ["red", "blue"]})
    assert set(tenant.network.get(path)["tags"]) == {"red", "blue"}
    assert [row["id"] for row in tenant.network.get("/v2.0/networks?tags=red,blue")["networks"]] == [network["id"]]
    tenant.network.delete(path + "/red")
    assert tenant.network.get(f"/v2.0/networks/{network['id']}")["network"]["tags"] == ["blue"]


def test_quota_is_kept(admin, tenant, networks_of):
    admin.network.put(f"/v2.0/quotas/{tenant.project_id}", {"quota": {"network": 1}})
    networks_of(tenant).network("10.20.41.0/24")
    kind, message = error(tenant.network.request("POST", "/v2.0/networks", {"network": {"name": "too many"}}).expect(409))
    assert kind == "OverQuota" and "network" in message
    admin.network.delete(f"/v2.0/quotas/{tenant.project_id}")
    assert tenant.network.get(f"/v2.0/quotas/{tenant.project_id}")["quota"]["network"] != 1


def test_extensions_are_listed(demo):
    aliases = {row["alias"] for row in demo.network.get("/v2.0/extensions")["extensions"]}
    assert {"security-group", "router", "external-net", "quotas", "standard-attr-tag"} <= aliases


def test_the_command_makes_a_routed_network(tenant):
    name = unique("cli")
    try:
        tenant.openstack("network", "create", name)
        tenant.openstack("subnet", "create", "--network", name, "--subnet-range", "10.20.42.0/24", name)
        tenant.openstack("router", "create", "--external-gateway", "ext-net", name)
        tenant.openstack("router", "add", "subnet", name, name)
        shown = tenant.openstack("router", "show", "-f", "json", name)
        assert shown["status"] == "ACTIVE" and len(shown["interfaces_info"]) == 1
        tenant.openstack("router", "remove", "subnet", name, name)
    finally:
        for kind in ("router", "network"):
            tenant.command(kind, "delete", name)
    assert name not in tenant.openstack("network", "list", "-f", "value", "-c", "Name")
