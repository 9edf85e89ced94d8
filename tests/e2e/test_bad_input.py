"""Anything at every endpoint: each request is answered below 500, in bounded time and memory, and the cloud lives on.

SAHAB_FUZZ_SEED repeats a run (it is printed), SAHAB_FUZZ_ROUNDS says how often each endpoint is asked (default 6).
"""
import concurrent.futures
import copy
import http.client
import json
import os
import random
import socket
import urllib.parse

import pytest

from support import host
from support.bodies import BODIES, body_for, with_ids
from support.endpoints import HOLE, Site, Wire, settle, table

ROUNDS = int(os.environ.get("SAHAB_FUZZ_ROUNDS", "6"))
JSON = {"Content-Type": "application/json"}
# The longest answer in bytes that a small cloud has reason to give.
ANSWER_BYTES = 4 << 20

VALUES = [None, True, False, 0, -1, 1, 65536, 2**31, 2**63, 2**64, 2**200, -2**63 - 1, 1.5, -0.0, 1e308, "", " ", "x", "0", "-1", "x" * 300,
          "x" * 70000, "ü\u202e\ufeff\U0001f600", "a\x00b", "a\r\nb", "a\tb\x1b[31m\x7f", "../..", "%00", "%s%n", "'; --", "' OR '1'='1", "${x}", "$(reboot)",
          "{{7*7}}", "10.0.0.0/99", "10.0.0.1/24", "0.0.0.0/0", "::/0", "300.1.1.1", "fe80::1%eth0", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff",
          "2020-13-45T99:99:99Z", "true", "None", "NaN", [], {}, [[]], [None], {"": {}}, {"a": {"b": {"c": []}}}, [{"a": 1}] * 50, {"name": ["x"]},
          "heat_template_version: rocky\nresources: {a: *b}", {"heat_template_version": 5, "resources": []}, ["x"] * 2000,
          {str(number): number for number in range(2000)}]
IDS = ["0" * 8 + "-0000-0000-0000-" + "0" * 12, "0" * 32, "x", "%20", "..%2f..", "%2e%2e", "a" * 300, "%C3%BC", "%00", "%FF", "-1", "null", "None", "1e9",
       "*", "%7B%7D", "a%0Ab", "a%0D%0Ab", "'", "%22", "%25", "a%3Fb", "a%23b", ";", "default", "%F0%9F%98%80"]
QUERIES = ["limit=-1", "limit=0", "limit=99999999999999999999", "limit=x", "limit=", "limit=1&limit=2", "marker=x", "marker=%00", "sort_key=password",
           "sort_key=", "sort_dir=sideways", "sort_keys=x;y", "sort=name:up,x:asc", "fields=", "fields=x&fields=y", "name=%FF", "name[]=1", "a=" + "b" * 5000,
           "=", "&&&", "page_reverse=maybe", "page_reverse=true&limit=1", "tags=", "tags-any=,", "not-tags=%00", "all_projects=maybe", "all_projects=true", "timeout=x",
           "timeout=-1", "timeout=99999999999", "tail=x", "tail=-1", "since=never", "ps_args=;id", "ps_args=-x%20$(id)", "signal=99", "signal=%00", "w=0&h=0",
           "w=99999999999&h=-1", "path=", "path=../../etc", "path=%00", "command=", "command=%27", "command=" + "x" * 9000, "run=maybe", "run=true", "force=maybe",
           "force=true", "stop=true", "sort_key=name&sort_key=id", "name=a&name=b", "network=x", "port=x", "fixed_ip=300.1.1.1", "security_group=%0a", "name=a%0Ab",
           "name=%24(reboot)", "nested_depth=99", "nested_depth=x", "with_detail=maybe", "with_attr=%00", "template_type=x", "show_nested=x", "status=x", "global_tenant=x",
           "scope.project.id=x&effective&include_names", "allow_expired=x", "nocatalog", "revision_number=x", "id=" + "&id=".join(["x"] * 300),
           "created_at=gt:never", "changed-since=x", "direction=%27", "image_pull_policy=x", "exact_match=x", "since=1e400", "binary=x&host=%00", "usages=x"]
HEADERS = [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": ""}, {"Content-Type": "application/json; charset=utf-16"},
           {"Content-Type": "application/openstack-images-v2.1-json-patch"}, {"Content-Type": "application/octet-stream"}, {"Accept": "text/html"}, {"Accept": "\xff"},
           {"OpenStack-API-Version": "container 9.99"}, {"OpenStack-API-Version": "container latest"}, {"OpenStack-API-Version": "container 1.1"},
           {"OpenStack-API-Version": "x" * 1000}, {"X-Subject-Token": "x"}, {"X-OpenStack-Request-ID": "req-\xe4"}, {"Expect": "200-maybe"}, {"If-Match": "x"},
           {"X-Forwarded-Host": "a'b\"<script>"}, {"X-Forwarded-Proto": "javascript"}, {"Content-Encoding": "gzip"}, {"Range": "bytes=9-1"},
           {"X-HTTP-Method-Override": "DELETE"}, {"Host": "x" * 300}]
TEXTS = [b"", b" ", b"{", b"[1,", b"\xff\xfe\x00", b"nul", b'{"a":' * 200, b"[" * 100000, b'{"a":' * 100000, b"0" * 10000, b"1" + b"0" * 100000, b"1e999999",
         b'"' + b"a" * 200000 + b'"', b'{"a": 1, "a": 2}', b'{"\\ud800": 1}', b'{"a": "\xff"}', b"null", b"[]", b"{}", b'"x"', b"5", b"\xef\xbb\xbf{}", b"\x00" * 1000,
         b"a=b&c=d", b"<xml/>", b"{'a': 1}"]


def nodes(value, found=None):
    """Every (container, key) inside."""
    found = [] if found is None else found
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []:
        found.append((value, key))
        nodes(value[key], found)
    return found


def spoil(chance, body):
    """The body with some places made wrong: another value, a value of another kind, something missing, something unknown."""
    body = copy.deepcopy(body)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        places = nodes(body)
        if not places:
            return copy.deepcopy(chance.choice(VALUES))
        inside, key = chance.choice(places)
        deed = chance.random()
        if deed < 0.65:
            inside[key] = copy.deepcopy(chance.choice(VALUES))
        elif deed < 0.75:
            del inside[key]
        elif deed < 0.85 and isinstance(inside, dict):
            inside[chance.choice(["unknown", "", "id", "project_id", "tenant_id", "__proto__", "x" * 300, "a\nb", "links", "status"])] = copy.deepcopy(chance.choice(VALUES))
        else:
            inside[key] = [copy.deepcopy(inside[key]) for _ in range(chance.choice([1, 2, 100]))]
    return body


class Fuzzer:
    """Random requests as several users. Ids of what was really made are used again, so that later requests get further."""

    def __init__(self, seed, cloud, site):
        self.chance = random.Random(seed)
        self.cloud, self.site, self.wire = cloud, site, Wire(cloud.port)
        self.known = {kind: [value] for kind, value in site.ids.items()}
        # An administrator passes the policy and so gets further. He acts from a project of his own and on ids that were made here.
        ruler = site.admin.new_project(role="admin")
        self.tokens = [site.account.token(), site.account.token(), ruler.token(), site.admin.login("system").headers["X-Subject-Token"], site.reader.token()]
        self.statuses, self.faults = {}, []

    def id(self, kind):
        if kind == "tenant":
            return self.site.ids["tenant"] if self.chance.random() < 0.9 else self.chance.choice(IDS)
        known = self.known.get(kind)
        return self.chance.choice(known) if known and self.chance.random() < 0.6 else self.chance.choice(IDS)

    def body(self, endpoint):
        right = body_for(endpoint)
        kind = self.chance.random()
        if kind < 0.15:
            return self.chance.choice(TEXTS)
        if kind < 0.25 or right is None:
            right = self.chance.choice([self.chance.choice(VALUES), {"x": self.chance.choice(VALUES)}, self.chance.choice(list(BODIES.values()))])
        return json.dumps(with_ids(spoil(self.chance, right), self.id)).encode()

    def ask(self, endpoint):
        chance = self.chance
        path = "/" + endpoint.service + endpoint.fill(lambda kind: urllib.parse.quote(self.id(kind), safe="%'*;:"))
        if chance.random() < 0.4:
            path += "?" + "&".join(chance.choice(QUERIES) for _ in range(chance.choice([1, 1, 2, 3])))
        headers = {**JSON, "X-Auth-Token": chance.choice(self.tokens), "OpenStack-API-Version": "container 1.40"}
        if chance.random() < 0.2:
            headers.update(chance.choice(HEADERS))
        data = self.body(endpoint) if endpoint.method in ("POST", "PUT", "PATCH") or chance.random() < 0.05 else None
        told = f"{endpoint.method} {path[:300]} {(data or b'')[:300]!r}"
        try:
            status, text, _ = self.wire.send(endpoint.method, path, data, headers)
        except AssertionError as error:
            self.faults.append(f"{error}: {told}")
            return
        counted = self.statuses.setdefault(endpoint.service, {})
        counted[status] = counted.get(status, 0) + 1
        if status >= 500 or len(text) > ANSWER_BYTES:
            self.faults.append(f"{status} {told}: {len(text)} bytes {text[:300]}")
        elif status >= 400 and not reason(text) and endpoint.method != "HEAD":
            self.faults.append(f"{status} without a reason {told}: {text[:300]}")
        elif status in (201, 202) and not HOLE.search(endpoint.pattern.removeprefix("/v1/{tenant}")):
            self.remember(endpoint, text)

    def remember(self, endpoint, text):
        answer = json.loads(text) if text else {}
        made = next((value for value in answer.values() if isinstance(value, dict)), answer) if isinstance(answer, dict) else {}
        identity = made.get("uuid") or made.get("id")
        if isinstance(identity, str):
            pool = self.known.setdefault(endpoint.pattern.rsplit("/", 1)[1], [])
            pool.append(identity)
            # The newest and the first: what is old is mostly deleted.
            del pool[1:-20]


def reason(text):
    """What an error says to a person, in whatever family's body."""
    try:
        body = json.loads(text)
    except ValueError:
        # The image service answers as a web page, as upstream does.
        return text.strip() if text.lstrip().startswith(("<", "4")) else ""
    found = body.get("NeutronError") or body.get("error") or (body.get("errors") or [{}])[0] or body
    if isinstance(found, str):
        return found
    return found.get("message") or found.get("detail") or found.get("title") or body.get("explanation")


@pytest.fixture(scope="module")
def site(scrap):
    return Site(scrap.account("admin"))


def test_random_requests_at_every_endpoint_get_no_server_error(scrap):
    seed = int(os.environ.get("SAHAB_FUZZ_SEED") or random.randrange(2**32))
    print(f"\nseed {seed}")
    # A site of its own: much of it is gone afterwards.
    site = Site(scrap.account("admin"))
    fuzzer = Fuzzer(seed, scrap, site)
    endpoints = table()
    for _ in range(ROUNDS):
        fuzzer.chance.shuffle(endpoints)
        for endpoint in endpoints:
            fuzzer.ask(endpoint)
    assert scrap.alive()
    assert not fuzzer.faults, f"seed {seed}: {len(fuzzer.faults)} faults, the first:\n" + "\n".join(fuzzer.faults[:20])
    # A run in which nothing gets past the door would prove nothing.
    for service, counted in fuzzer.statuses.items():
        all_of_it = sum(counted.values())
        assert counted.get(401, 0) < all_of_it / 5, f"{service}: {counted}"
        assert sum(counted.get(status, 0) for status in (200, 201, 202, 204)) > all_of_it / 50, f"{service}: {counted}"
    settle(site.admin)
    settle(site.account)
    assert "a handler panicked" not in scrap.log()


# ---- one at a time ----

def takers():
    return [row for row in table() if row.method in ("POST", "PUT", "PATCH") and body_for(row) is not None and not row.pattern.endswith("/signal")]


@pytest.mark.parametrize("what, data", {
    "cut short": b'{"a": ', "not text": b'{"a": "\xff\xfe"}', "deep": b"[" * 200000 + b"]" * 200000, "deep objects": b'{"a":' * 100000 + b"1" + b"}" * 100000,
    "a list": b"[[]]", "a number": b"1" * 5000}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_body_that_is_none_is_the_clients_fault(scrap, site, what, data):
    wire, faults = Wire(scrap.port), []
    for endpoint in takers():
        headers = {**JSON, "X-Auth-Token": site.admin.token(), "OpenStack-API-Version": "container 1.40"}
        status, text, _ = wire.send(endpoint.method, "/" + endpoint.service + endpoint.fill(site.id), data, headers)
        # A redirect from a stack's name to its id is given before the body is looked at.
        if status != 302 and not (400 <= status < 500 and reason(text)) and body_matters(endpoint):
            faults.append(f"{endpoint} {what}: {status} {text[:200]}")
    assert not faults, "\n".join(faults)


def body_matters(endpoint):
    """Upstream reads no body at a grant, a tag, a switch."""
    return not endpoint.pattern.endswith(("_id}", "{tag}", "inherited_to_projects")) or endpoint.method == "PATCH"


BAD_BODIES = ["", "{", "null", "5", '"text"', "[]", "{}", '{"x": {}}', '{"network": null}', '{"network": []}', '{"container": 1}']


@pytest.mark.parametrize("service, path", [("network", f"/v2.0/{collection}") for collection in
                                           ("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules")]
                         + [("container", "/v1/containers"), ("orchestration", "/v1/{project}/stacks"), ("identity", "/v3/auth/tokens"),
                            ("identity", "/v3/users"), ("identity", "/v3/projects"), ("identity", "/v3/roles")])
def test_a_creation_without_what_it_needs_is_the_clients_fault(site, service, path):
    account = site.admin if service == "identity" else site.account
    for body in BAD_BODIES:
        answer = getattr(account, service).request("POST", path.format(project=account.project_id), data=body, headers=JSON)
        assert 400 <= answer.status < 500 and reason(answer.text), f"{body!r}: {answer.status} {answer.text[:200]}"


def test_an_unknown_field_is_refused_and_named(site):
    for service, path, body in (
            ("network", "networks", {"network": {"colour": "red"}}), ("network", "subnets", {"subnet": {"network_id": site.id("networks"), "cidr": "10.5.0.0/24",
             "ip_version": 4, "colour": "red"}}), ("network", "ports", {"port": {"network_id": site.id("networks"), "colour": "red"}}),
            ("network", "routers", {"router": {"colour": "red"}}), ("network", "floatingips", {"floatingip": {"floating_network_id": site.id("external"), "colour": "red"}}),
            ("network", "security-groups", {"security_group": {"name": "g", "colour": "red"}}), ("container", "containers", {"image": "cirros:latest", "colour": "red"})):
        answer = getattr(site.account, service).request("POST", ("/v2.0/" if service == "network" else "/v1/") + path, body).expect(400)
        assert "colour" in answer.text, f"{path}: {answer.text[:200]}"
    template = {"heat_template_version": "rocky", "resources": {"r": {"type": "OS::Neutron::Net", "properties": {"colour": "red"}}}}
    answer = site.account.orchestration.request("POST", f"/v1/{site.account.project_id}/stacks", {"stack_name": "s", "template": template}).expect(400)
    assert "colour" in answer.text


def rows_of(cloud):
    return cloud.rows()["rows"]


def test_what_is_refused_leaves_nothing_half_done(scrap, site):
    """Requests that fail late, after something could have been made: the database is as before."""
    external, networks = site.id("external"), site.ids
    account, before = site.account, rows_of(scrap)
    stacks = f"/v1/{account.project_id}/stacks"
    net = {"network": networks["networks"]}
    attempts = [
        ("network", "POST", "/v2.0/ports", {"ports": [{"network_id": networks["networks"]}, {"network_id": networks["networks"], "colour": 1}]}),
        ("network", "POST", "/v2.0/networks", {"networks": [{"name": "a"}, {"name": 5}]}),
        ("network", "POST", "/v2.0/ports", {"port": {"network_id": networks["networks"], "fixed_ips": [{"ip_address": "10.66.0.77"}, {"ip_address": "192.0.2.1"}]}}),
        ("network", "POST", "/v2.0/ports", {"port": {"network_id": networks["networks"], "security_groups": [networks["security-groups"], "0" * 32]}}),
        ("network", "POST", "/v2.0/subnets", {"subnet": {"network_id": networks["networks"], "ip_version": 4, "cidr": "10.66.0.128/25"}}),
        ("network", "POST", "/v2.0/routers", {"router": {"external_gateway_info": {
            "network_id": external, "external_fixed_ips": [{"ip_address": "192.0.2.1"}]}}}),
        ("network", "POST", "/v2.0/floatingips", {"floatingip": {"floating_network_id": external, "port_id": "0" * 32}}),
        ("network", "PUT", f"/v2.0/routers/{networks['routers']}/add_router_interface", {"subnet_id": networks["subnets"]}),
        ("network", "POST", "/v2.0/security-group-rules", {"security_group_rule": {
            "security_group_id": networks["security-groups"], "direction": "ingress", "protocol": "tcp", "port_range_min": 9, "port_range_max": 1}}),
        ("container", "POST", "/v1/containers", {"image": "cirros:latest", "nets": [net, {"network": "0" * 32}]}),
        ("container", "POST", "/v1/containers", {"image": "cirros:latest", "nets": [net], "security_groups": ["nothing-of-this-name"]}),
        ("container", "POST", "/v1/containers", {"image": "cirros:latest", "nets": [net], "memory": "999999999"}),
        ("orchestration", "POST", stacks, {"stack_name": "s", "template": {"heat_template_version": "rocky", "resources": {
            "a": {"type": "OS::Heat::None"}, "b": {"type": "OS::Neutron::Port", "properties": {"network": "nothing-of-this-name"}}}}}),
        ("orchestration", "POST", stacks, {"stack_name": site.mark, "template": {"heat_template_version": "rocky"}}),
    ]
    for service, method, path, body in attempts:
        answer = getattr(account, service).request(method, path, body)
        assert 400 <= answer.status < 500 and reason(answer.text), f"{method} {path} {body}: {answer.status} {answer.text[:300]}"
        assert rows_of(scrap) == before, f"{method} {path} {body}: {sorted(rows_of(scrap) ^ before)}"


@pytest.mark.parametrize("cidr, right", [("10.5.0.9/24", "10.5.0.0/24"), ("fd00:5::9/64", "fd00:5::/64")])
def test_a_range_with_host_bits_is_taken_as_upstream_takes_it(site, cidr, right):
    """Neutron cuts the host bits off; a security group's prefix likewise."""
    network = site.account.network.post("/v2.0/networks", {"network": {}})["network"]["id"]
    subnet = site.account.network.request("POST", "/v2.0/subnets", {"subnet": {
        "network_id": network, "ip_version": 6 if ":" in cidr else 4, "cidr": cidr}}).expect(201)
    assert subnet.json["subnet"]["cidr"] == right
    overlapping = right.replace("/24", "/25").replace("/64", "/65")
    site.account.network.request("POST", "/v2.0/subnets", {"subnet": {
        "network_id": network, "ip_version": 6 if ":" in cidr else 4, "cidr": overlapping}}).expect(400)
    site.account.network.delete(f"/v2.0/networks/{network}")


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "limit=99999999999999999999999", "marker=nothing", "sort_key=nothing", "sort_key=name&sort_dir=sideways"])
def test_absurd_pages_are_refused_or_bounded(site, query):
    """Never a fault, never more than there is, and a refusal has its reason."""
    for service, path, key in (("identity", "/v3/users", "users"), ("network", "/v2.0/networks", "networks"), ("network", "/v2.0/ports", "ports"),
                               ("container", "/v1/containers", "containers"), ("image", "/v2/images", "images"),
                               ("orchestration", f"/v1/{site.account.project_id}/stacks", "stacks")):
        account = site.admin if service == "identity" else site.account
        answer = getattr(account, service).request("GET", f"{path}?{query}")
        assert answer.status == 200 and key in answer.json or 400 <= answer.status < 500 and reason(answer.text), f"{path}: {answer.status} {answer.text[:200]}"


# ---- bytes that a client library would not send ----

@pytest.mark.parametrize("path", ["/network/v2.0/networks/" + "a" * 20000, "/network//v2.0//networks", "/network/../identity/v3/users", "/", "/nothing",
                                  "/network/v2.0/networks/%2e%2e", "/container/v1/containers/%00", "*"])
def test_odd_paths(scrap, path):
    connection = http.client.HTTPConnection("127.0.0.1", scrap.port, timeout=10)
    connection.putrequest("GET", path, skip_host=False)
    connection.endheaders()
    assert connection.getresponse().status < 500


RAW = [b"\r\n\r\n", b"\x00" * 5000, b"GET / HTTP/9.9\r\n\r\n", b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
       b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
       b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000000 + b"\r\n\r\n", b"POST /network/v2.0/networks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
       b"POST /network/v2.0/networks HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
       b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
       b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
       b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n"]


@pytest.mark.parametrize("data", RAW, ids=range(len(RAW)))
def test_bytes_that_are_no_request(scrap, data):
    """An error or a closed connection; no second request out of one (smuggling), no fault of the server."""
    with socket.create_connection(("127.0.0.1", scrap.port), timeout=10) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            # Closed at once, which is an answer too.
            answer = b""
    assert b"HTTP/1.1 5" not in answer and b"openmetrics" not in answer
    assert scrap.alive()


# ---- size ----

def test_huge_bodies_are_refused_in_little_memory(scrap, site):
    """64 MiB at once to every service, announced and in pieces, by many: refused by their size and not kept."""
    before = host.memory_of(scrap.process)
    peaks = []

    def send(endpoint, in_pieces):
        connection = http.client.HTTPConnection("127.0.0.1", scrap.port, timeout=30)
        pieces = (b'{"a": "' + b"x" * (1 << 20) for _ in range(64))
        headers = {**JSON, "X-Auth-Token": site.account.token(), "OpenStack-API-Version": "container 1.40"}
        if not in_pieces:
            headers["Content-Length"] = str(64 * ((1 << 20) + 7))
        try:
            connection.request(endpoint.method, "/" + endpoint.service + endpoint.fill(site.id), pieces, headers, encode_chunked=in_pieces)
            status = connection.getresponse().status
        except (BrokenPipeError, ConnectionResetError):
            # It hung up on the rest; the answer may be lost with it, as with any server.
            status = None
        peaks.append(host.memory_of(scrap.process))
        return status
    chosen = [row for row in takers() if row.pattern.rsplit("/", 1)[1] in ("networks", "ports", "containers", "stacks", "tokens", "images", "validate")]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(send, chosen * 4, [True, False] * 2 * len(chosen)))
    assert {status for status in statuses if status} <= {400, 401, 403, 413}, statuses
    assert max(peaks) - before < 150, f"{max(peaks) - before} MiB more than before"
    site.account.network.get("/v2.0/networks")
