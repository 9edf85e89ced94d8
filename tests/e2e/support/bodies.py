"""A body that is right for every endpoint that takes one: what the tests of bad input spoil, and what a reader must not do.

`@kind` stands for an id of that kind, as support.endpoints.Site has them.
"""

SLEEP = {"image": "cirros:latest", "command": ["sleep", "1000"]}
TEMPLATE = {"heat_template_version": "rocky", "parameters": {"p": {"type": "string", "default": "v"}},
            "resources": {"r": {"type": "OS::Heat::Value", "properties": {"value": {"get_param": "p"}}}},
            "outputs": {"o": {"value": {"get_attr": ["r", "value"]}}}}
STACK = {"template": TEMPLATE, "parameters": {"p": "w"}, "environment": {"parameters": {}}, "files": {"a.txt": "text"},
         "timeout_mins": 5, "disable_rollback": True, "tags": "a,b"}

# By service and the end of the path; methods that change in place take what a creation takes.
BODIES = {
    ("network", "networks"): {"network": {"name": "n", "admin_state_up": True, "mtu": 1400, "description": "d", "dns_domain": "a.test."}},
    ("network", "subnets"): {"subnet": {
        "network_id": "@networks", "cidr": "10.67.0.0/24", "ip_version": 4, "gateway_ip": "10.67.0.1", "enable_dhcp": True,
        "allocation_pools": [{"start": "10.67.0.9", "end": "10.67.0.99"}], "dns_nameservers": ["10.67.0.2"],
        "host_routes": [{"destination": "10.68.0.0/24", "nexthop": "10.67.0.3"}]}},
    ("network", "ports"): {"port": {
        "network_id": "@networks", "name": "p", "fixed_ips": [{"subnet_id": "@subnets"}], "security_groups": ["@security-groups"],
        "allowed_address_pairs": [{"ip_address": "10.1.2.3"}], "dns_name": "p", "mac_address": "fa:16:3e:77:77:77"}},
    ("network", "routers"): {"router": {
        "name": "r", "external_gateway_info": {"network_id": "@external", "enable_snat": True}}},
    ("network", "add_router_interface"): {"subnet_id": "@subnets"},
    ("network", "remove_router_interface"): {"port_id": "@ports"},
    ("network", "add_extraroutes"): {"router": {"routes": [{"destination": "10.3.0.0/24", "nexthop": "10.66.0.9"}]}},
    ("network", "remove_extraroutes"): {"router": {"routes": [{"destination": "10.3.0.0/24", "nexthop": "10.66.0.9"}]}},
    ("network", "floatingips"): {"floatingip": {"floating_network_id": "@external", "port_id": "@ports", "fixed_ip_address": "10.66.0.5"}},
    ("network", "port_forwardings"): {"port_forwarding": {
        "external_port": 80, "internal_port": 80, "protocol": "tcp", "internal_port_id": "@ports", "internal_ip_address": "10.66.0.5"}},
    ("network", "security-groups"): {"security_group": {"name": "g", "description": "d", "stateful": True}},
    ("network", "security-group-rules"): {"security_group_rule": {
        "security_group_id": "@security-groups", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80,
        "port_range_max": 81, "remote_ip_prefix": "10.0.0.0/8"}},
    ("network", "rbac-policies"): {"rbac_policy": {
        "object_type": "network", "object_id": "@networks", "action": "access_as_shared", "target_tenant": "@projects"}},
    ("network", "subnetpools"): {"subnetpool": {"name": "s", "prefixes": ["10.91.0.0/16"], "default_prefixlen": 24}},
    ("network", "add_prefixes"): {"prefixes": ["10.92.0.0/16"]},
    ("network", "remove_prefixes"): {"prefixes": ["10.92.0.0/16"]},
    ("network", "onboard_network_subnets"): {"network_id": "@networks"},
    ("network", "address-groups"): {"address_group": {"name": "a", "addresses": ["10.0.0.0/8"]}},
    ("network", "add_addresses"): {"addresses": ["10.9.9.9/32"]},
    ("network", "remove_addresses"): {"addresses": ["10.9.9.9/32"]},
    ("network", "address-scopes"): {"address_scope": {"name": "a", "ip_version": 4}},
    ("network", "quotas"): {"quota": {"network": 50, "port": 100}},
    ("network", "tags"): {"tags": ["a", "b"]},
    ("network", "segments"): {"segment": {"network_id": "@networks", "network_type": "vlan", "segmentation_id": 7}},
    ("network", "metering-labels"): {"metering_label": {"name": "l"}},
    ("network", "metering-label-rules"): {"metering_label_rule": {"metering_label_id": "@metering-labels", "remote_ip_prefix": "10.0.0.0/8"}},
    ("network", "default-security-group-rules"): {"default_security_group_rule": {"direction": "egress", "ethertype": "IPv4"}},
    ("network", "dhcp-networks"): {"network_id": "@networks"},
    ("network", "l3-routers"): {"router_id": "@routers"},
    ("network", "agents"): {"agent": {"admin_state_up": True}},
    ("container", "containers"): {
        **SLEEP, "name": "c", "cpu": 0.1, "memory": "64", "environment": {"A": "b"}, "labels": {"l": "v"}, "workdir": "/tmp",
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "1"}, "nets": [{"network": "@networks"}],
        "security_groups": ["@security-groups"], "hostname": "h", "hints": {}, "interactive": False, "auto_remove": False,
        "healthcheck": {"cmd": "true", "interval": "10", "retries": "2", "timeout": "3"}},
    ("container", "capsules"): {"template": {"kind": "capsule", "metadata": {"name": "x"}, "spec": {"containers": [SLEEP]}}},
    ("container", "images"): {"repo": "cirros:latest"},
    ("container", "networks"): {"neutron_net_id": "@networks"},
    ("container", "quotas"): {"containers": 40, "cpu": 20, "memory": 51200, "disk": 100},
    ("container", "quota_classes"): {"containers": 40},
    ("container", "registries"): {"registry": {"name": "r", "domain": "r.test", "username": "u", "password": "p"}},
    ("container", "services"): {"binary": "zun-compute", "host": "nowhere", "forced_down": True, "disabled_reason": "r"},
    ("container", "put_archive"): {"data": "eA=="},
    ("orchestration", "stacks"): {"stack_name": "s", **STACK},
    ("orchestration", "preview"): {"stack_name": "s", **STACK},
    ("orchestration", "validate"): {"template": TEMPLATE, "environment": {"parameters": {"p": "x"}}},
    ("orchestration", "actions"): {"check": None},
    ("orchestration", "resources"): {"mark_unhealthy": True, "resource_status_reason": "r"},
    ("orchestration", "signal"): {"a": 1},
    ("orchestration", "snapshots"): {"name": "x"},
    ("identity", "tokens"): {"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"name": "x", "domain": {"id": "default"}, "password": "y"}}},
        "scope": {"project": {"id": "@projects"}}}},
    ("identity", "users"): {"user": {"name": "u", "password": "secret-password", "email": "a@b.test", "default_project_id": "@projects",
                                     "options": {"ignore_password_expiry": True}}},
    ("identity", "password"): {"user": {"original_password": "a", "password": "b"}},
    ("identity", "projects"): {"project": {"name": "p", "domain_id": "default", "description": "d", "tags": ["t"], "options": {}}},
    ("identity", "groups"): {"group": {"name": "g", "description": "d"}},
    ("identity", "roles"): {"role": {"name": "r", "description": "d", "options": {"immutable": False}}},
    ("identity", "domains"): {"domain": {"name": "d", "enabled": False}},
    ("identity", "services"): {"service": {"type": "t", "name": "s", "enabled": True}},
    ("identity", "endpoints"): {"endpoint": {
        "service_id": "@services", "interface": "public", "url": "http://x.test/%(project_id)s", "region_id": "@regions"}},
    ("identity", "regions"): {"region": {"description": "d", "parent_region_id": "@regions"}},
    ("identity", "credentials"): {"credential": {"user_id": "@users", "type": "ec2", "blob": "{\"access\": \"a\", \"secret\": \"b\"}",
                                                 "project_id": "@projects"}},
    ("identity", "policies"): {"policy": {"type": "application/json", "blob": "{}"}},
    ("identity", "trusts"): {"trust": {"trustor_user_id": "@users", "trustee_user_id": "@users", "impersonation": False,
                                       "project_id": "@projects", "roles": [{"id": "@roles"}]}},
    ("identity", "application_credentials"): {"application_credential": {
        "name": "a", "roles": [{"name": "member"}], "access_rules": [{"path": "/v2.0/networks", "method": "GET", "service": "network"}]}},
    ("identity", "OS-EC2"): {"tenant_id": "@projects"},
    ("identity", "registered_limits"): {"registered_limits": [{"service_id": "@services", "resource_name": "x", "default_limit": 5}]},
    ("identity", "limits"): {"limits": [{"service_id": "@services", "project_id": "@projects", "resource_name": "x", "resource_limit": 5}]},
    ("identity", "endpoint_groups"): {"endpoint_group": {"name": "e", "filters": {"interface": "public"}}},
    ("identity", "config"): {"config": {"identity": {"driver": "sql"}}},
    ("image", "images"): {"name": "i", "disk_format": "raw", "container_format": "docker", "visibility": "private", "tags": ["a"],
                          "min_disk": 1, "protected": False},
    ("image", "members"): {"member": "@projects"},
}
IMAGE_PATCH = [{"op": "replace", "path": "/name", "value": "x"}]


def body_for(endpoint):
    """What a well-meaning client would send; None where nothing is known to be right."""
    if endpoint.service == "image" and endpoint.method == "PATCH":
        return IMAGE_PATCH
    words = [part for part in endpoint.pattern.split("/") if part and not part.startswith("{")]
    return next((BODIES[endpoint.service, word] for word in reversed(words) if (endpoint.service, word) in BODIES), None)


def with_ids(value, choose):
    """The body with every `@kind` replaced by choose(kind)."""
    if isinstance(value, dict):
        return {key: with_ids(inner, choose) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_ids(inner, choose) for inner in value]
    return choose(value[1:]) if isinstance(value, str) and value.startswith("@") else value
