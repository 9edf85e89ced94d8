"""Networks of a tenant through the API, removed in the order that their dependencies ask for."""
from .accounts import unique


class Networks:
    """What a user makes in the network service through this object goes away with clean()."""

    def __init__(self, account):
        self.account = account
        self.undo = []

    @property
    def api(self):
        return self.account.network

    def _created(self, collection, key, body):
        made = self.api.post(f"/v2.0/{collection}", {key: body}, expect=(201,))[key]
        self.undo.append(lambda: self.api.delete(f"/v2.0/{collection}/{made['id']}", expect=(204, 404)))
        return made

    def network(self, cidr="10.77.0.0/24", cidr6=None, **fields):
        """A network with its subnet (and an IPv6 one), as (network, subnet)."""
        network = self._created("networks", "network", {"name": unique("net"), **fields})
        subnet = self.subnet(network, cidr)
        if cidr6:
            self.subnet(network, cidr6, ip_version=6)
        return network, subnet

    def subnet(self, network, cidr, ip_version=4, **fields):
        return self._created("subnets", "subnet", {"network_id": network["id"], "cidr": cidr, "ip_version": ip_version, **fields})

    def port(self, network, **fields):
        return self._created("ports", "port", {"network_id": network["id"], **fields})

    def group(self, *rules, **fields):
        """A security group with ingress rules given as dictionaries."""
        group = self._created("security-groups", "security_group", {"name": unique("group"), **fields})
        for rule in rules:
            self.rule(group, **rule)
        return group

    def rule(self, group, **fields):
        """A rule goes with its group, so it is not undone on its own."""
        body = {"security_group_id": group["id"], "direction": "ingress", **fields}
        return self.api.post("/v2.0/security-group-rules", {"security_group_rule": body}, expect=(201,))["security_group_rule"]

    def router(self, *subnets, external=None):
        body = {"name": unique("router")}
        if external:
            body["external_gateway_info"] = {"network_id": external}
        router = self._created("routers", "router", body)
        for subnet in subnets:
            interface = {"subnet_id": subnet["id"]}
            self.api.put(f"/v2.0/routers/{router['id']}/add_router_interface", interface, expect=(200,))
            self.undo.append(lambda interface=interface: self.api.put(
                f"/v2.0/routers/{router['id']}/remove_router_interface", interface, expect=(200, 404)))
        return router

    def floating_ip(self, external, port=None):
        body = {"floating_network_id": external}
        if port:
            body["port_id"] = port
        return self._created("floatingips", "floatingip", body)

    def named(self, name):
        """The id of a visible network, for instance ext-net."""
        return self.api.get(f"/v2.0/networks?name={name}")["networks"][0]["id"]

    def clean(self):
        while self.undo:
            self.undo.pop()()
