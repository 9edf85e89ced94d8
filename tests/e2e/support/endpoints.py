"""The endpoint table, from the program itself, and a project with one object of every kind to fill its paths with."""
import http.client
import json
import re
import subprocess
import time
import typing

from . import wait
from .accounts import Account, unique
from .cloud import program
from .containers import Containers
from .networks import Networks
from .stacks import Stacks

HOLE = re.compile(r"\{\*?(\w+)\}")
ANSWER_SECONDS = 30


class Endpoint(typing.NamedTuple):
    service: str
    method: str
    pattern: str
    open: bool

    def __str__(self):
        return f"{self.method} {self.service}{self.pattern}"

    def holes(self):
        """For each placeholder what it names: the part of the path before it (`networks`), or itself (`tenant`, `tag`)."""
        parts = self.pattern.split("/")
        kinds = []
        for before, part in zip(parts, parts[1:]):
            hole = HOLE.fullmatch(part)
            if hole:
                word = hole.group(1)
                kinds.append(word if word in ("tenant", "tag", "key", "version", "type", "alias", "option") or HOLE.fullmatch(before) else before)
        return kinds

    def fill(self, choose):
        """The path with every placeholder replaced by choose(what it names)."""
        kinds = iter(self.holes())
        return HOLE.sub(lambda _: choose(next(kinds)), self.pattern)


def table():
    """Every endpoint of every service: `sahab endpoints` prints what the services are made with."""
    done = subprocess.run([program(), "endpoints"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    found = [Endpoint(service, method, pattern, who == "open") for service, method, pattern, who in rows]
    assert len(found) > 400 and {row.service for row in found} == {"identity", "image", "network", "container", "orchestration"}
    return found


class Wire:
    """A connection that is kept, and sends paths and bodies byte for byte. An answer that does not come fails the test."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def send(self, method, path, body=None, headers=None):
        """(status, text, seconds); the connection is opened again when the server closed it before this request."""
        for attempt in (1, 2):
            fresh = self.connection is None
            if fresh:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
            started = time.monotonic()
            try:
                self.connection.request(method, path, body, headers or {})
                answer = self.connection.getresponse()
                text = answer.read().decode(errors="replace")
                if answer.will_close:
                    self.connection = None
                return answer.status, text, time.monotonic() - started
            except (http.client.HTTPException, OSError) as error:
                self.connection = None
                if fresh or attempt == 2 or isinstance(error, TimeoutError):
                    raise AssertionError(f"no answer to {method} {path}: {error!r}") from error


class Site:
    """A project with an object of every kind. `ids` has them by what the paths call them; every name carries `mark`."""

    def __init__(self, admin):
        self.admin, self.mark = admin, unique("marked")
        self.account = account = admin.new_project()
        self.reader = self.second_user("reader")
        networks = Networks(account)
        external = networks.named("ext-net")
        network, subnet = networks.network("10.66.0.0/24", "fd00:66::/64", name=self.mark, description=self.mark)
        router = networks.router(subnet, external=external)
        group = networks.group(name=self.mark)
        rule = networks.rule(group, protocol="tcp", port_range_min=1, port_range_max=2)
        port = networks.port(network, name=self.mark)
        floating = networks.floating_ip(external)
        containers, stacks = Containers(account), Stacks(account)
        container = containers.run(name=self.mark, nets=[{"network": network["id"]}])
        template = {"heat_template_version": "rocky", "description": self.mark,
                    "resources": {"r": {"type": "OS::Heat::RandomString"}}, "outputs": {"o": {"value": self.mark}}}
        stack = stacks.deploy(template, name=self.mark)
        image = account.image.post("/v2/images", {"name": self.mark, "disk_format": "raw", "container_format": "docker"}, expect=(201,))
        group_id = account.network.post("/v2.0/address-groups", {"address_group": {"name": self.mark, "addresses": ["10.1.2.3/32"]}})
        pool = account.network.post("/v2.0/subnetpools", {"subnetpool": {"name": self.mark, "prefixes": ["10.90.0.0/16"]}})
        scope = account.network.post("/v2.0/address-scopes", {"address_scope": {"name": self.mark, "ip_version": 4}})
        rbac = admin.network.post("/v2.0/rbac-policies", {"rbac_policy": {
            "object_type": "network", "object_id": network["id"], "action": "access_as_shared", "target_tenant": unique("nobody")}})
        identity = admin.identity
        victim = identity.post("/v3/projects", {"project": {"name": self.mark, "description": self.mark}})["project"]["id"]
        user = identity.post("/v3/users", {"user": {"name": self.mark, "password": "x" * 12}})["user"]["id"]
        people = identity.post("/v3/groups", {"group": {"name": self.mark}})["group"]["id"]
        role = identity.post("/v3/roles", {"role": {"name": self.mark}})["role"]["id"]
        service = identity.post("/v3/services", {"service": {"type": self.mark, "name": self.mark}})["service"]["id"]
        region = identity.post("/v3/regions", {"region": {"id": unique("region")}})["region"]["id"]
        endpoint = identity.post("/v3/endpoints", {"endpoint": {
            "service_id": service, "region_id": region, "interface": "public", "url": "http://x.test/"}})["endpoint"]["id"]
        credential = identity.post("/v3/credentials", {"credential": {"user_id": user, "type": "x", "blob": self.mark}})["credential"]["id"]
        domain = identity.post("/v3/domains", {"domain": {"name": self.mark, "enabled": False}})["domain"]["id"]
        own = account.identity.post(f"/v3/users/{account.user_id}/application_credentials", {
            "application_credential": {"name": self.mark}})["application_credential"]["id"]
        self.ids = {
            "networks": network["id"], "subnets": subnet["id"], "routers": router["id"], "ports": port["id"],
            "security-groups": group["id"], "security-group-rules": rule["id"], "floatingips": floating["id"],
            "address-groups": group_id["address_group"]["id"], "subnetpools": pool["subnetpool"]["id"],
            "address-scopes": scope["address_scope"]["id"], "rbac-policies": rbac["rbac_policy"]["id"],
            "containers": container["uuid"], "stacks": stack, "id": stacks.made[stack], "resources": "r", "key": "o",
            "images": image["id"], "projects": victim, "users": user, "groups": people, "roles": role, "services": service,
            "regions": region, "endpoints": endpoint, "credentials": credential, "domains": domain,
            "application_credentials": own, "quotas": account.project_id, "auto-allocated-topology": account.project_id,
            "tenant": account.project_id, "alias": "router", "type": "OS::Heat::None", "version": "heat_template_version.rocky",
            "tag": self.mark, "option": "driver", "config": "identity", "external": external,
        }

    def second_user(self, role):
        """An Account of another user, with that role on the same project."""
        name, password = unique(role), unique("password")
        identity = self.admin.identity
        user = identity.post("/v3/users", {"user": {"name": name, "domain_id": "default", "password": password}})["user"]
        found = identity.get(f"/v3/roles?name={role}")["roles"][0]["id"]
        identity.put(f"/v3/projects/{self.account.project_id}/users/{user['id']}/roles/{found}")
        settings = {**self.account.settings, "OS_USERNAME": name, "OS_PASSWORD": password}
        return Account(self.account.cloud_url, settings, administrator=self.admin)

    def id(self, kind):
        """The object of that kind, or an id that nothing has."""
        return self.ids.get(kind, "0" * 32)

    def own(self, endpoint):
        """Whether the filled path names something that belongs to this project."""
        public = {"alias", "type", "version", "tag", "option", "config", "key", "resources"}
        return any(kind in self.ids and kind not in public for kind in endpoint.holes())

    def state(self):
        """What the objects look like to their owner and to the administrator, without what changes by itself."""
        seen = {}
        for kind in ("networks", "subnets", "routers", "ports", "security-groups", "floatingips", "address-groups", "subnetpools"):
            seen[kind] = self.account.network.get(f"/v2.0/{kind}/{self.ids[kind]}")
        container = self.account.container.get(f"/v1/containers/{self.ids['containers']}")
        seen["container"] = {key: container[key] for key in ("name", "status", "addresses", "security_groups", "cpu", "memory")}
        stack = self.account.orchestration.get(f"/v1/{self.account.project_id}/stacks/{self.ids['stacks']}/{self.ids['id']}")["stack"]
        seen["stack"] = {key: stack[key] for key in ("stack_name", "stack_status", "updated_time", "tags", "parameters")}
        seen["image"] = self.account.image.get(f"/v2/images/{self.ids['images']}")
        for kind in ("projects", "users", "groups", "roles", "services", "regions", "endpoints", "credentials", "domains"):
            seen[kind] = self.admin.identity.get(f"/v3/{kind}/{self.ids[kind]}")
        for service, path in (("network", "/v2.0/quotas/"), ("container", "/v1/quotas/")):
            seen[f"quotas of {service}"] = getattr(self.admin, service).get(path + self.account.project_id)
        return json.loads(json.dumps(seen))


def settle(account, timeout=120):
    """Waits until nothing that the account sees is in the middle of something."""
    def at_rest():
        containers = account.container.get("/v1/containers")["containers"]
        stacks = account.orchestration.get(f"/v1/{account.project_id}/stacks")["stacks"]
        return not [row for row in containers if row["task_state"] or row["status"] in ("Creating", "Deleting")] and \
            not [row for row in stacks if row["stack_status"].endswith("IN_PROGRESS")]
    wait.until(at_rest, timeout, 0.5, "rest")
