"""Templates as an attack: what makes the server read its own files and neighbours, and what grows without end."""
import os
import subprocess
import sys
import threading

import pytest

from support import host, outside, wait
from support.accounts import unique
from support.stacks import Stacks

PUBLIC = "93.184.215.14"
# A server on the internet (an address that the sandbox's outside world takes) whose answers lead back inside.
SERVER = """
import http.server, sys
PORT = sys.argv[1]
TEMPLATE = b"heat_template_version: rocky\\noutputs: {o: {value: fetched}}\\n"
PLACES = {"/to-loopback": f"http://127.0.0.1:{PORT}/identity/v3", "/to-localhost": f"http://localhost:{PORT}/metrics", "/to-v6": f"http://[::1]:{PORT}/",
          "/to-mapped": f"http://[::ffff:127.0.0.1]:{PORT}/", "/to-metadata": "http://169.254.169.254/latest/meta-data", "/to-file": "file:///etc/passwd",
          "/to-private": "http://198.51.100.2:22/", "/to-zero": f"http://0.0.0.0:{PORT}/metrics", "/to-decimal": f"http://2130706433:{PORT}/metrics",
          "/to-short": f"http://127.1:{PORT}/metrics", "/twice": "/to-loopback", "/round": "/round", "/there": "/good.yaml"}
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        place = PLACES.get(self.path)
        if place:
            self.send_response(302)
            self.send_header("Location", place)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(TEMPLATE)))
            self.end_headers()
            self.wfile.write(TEMPLATE)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((sys.argv[2], 80), Answers).serve_forever()
"""


@pytest.fixture(scope="module")
def internet(cloud):
    host.run("ip", "-n", outside.NAMESPACE, "address", "add", f"{PUBLIC}/32", "dev", "lo")
    process = subprocess.Popen(["ip", "netns", "exec", outside.NAMESPACE, sys.executable, "-c", SERVER, str(cloud.port), PUBLIC])
    try:
        wait.until(lambda: host.reachable(PUBLIC, 80), 10, what="the attacker's server")
        yield f"http://{PUBLIC}"
    finally:
        process.terminate()
        process.wait()
        host.run("ip", "-n", outside.NAMESPACE, "address", "del", f"{PUBLIC}/32", "dev", "lo")


SECRETS = ("root:", "# TYPE", "sahab_", "\"versions\"", "SSH-")
INSIDE = ["file:///etc/passwd", "/etc/passwd", "file:///etc/shadow", "http://127.0.0.1:{port}/metrics", "http://localhost:{port}/metrics", "http://[::1]:{port}/",
          "http://[::ffff:7f00:1]:{port}/", "http://0.0.0.0:{port}/metrics", "http://2130706433:{port}/metrics", "http://0x7f.1:{port}/metrics",
          "http://127.1:{port}/metrics", "http://198.51.100.2:22/", "http://172.17.0.1/", "http://169.254.169.254/latest", "gopher://127.0.0.1:22/x",
          "ftp://127.0.0.1/x", "http://user:pass@127.0.0.1:{port}/", "unix:///var/run/docker.sock"]


def ways_in(place):
    """Every door through which a template names a place."""
    def hot(resources, **more):
        return {"template": {"heat_template_version": "rocky", "resources": resources, **more}}
    value = {"type": "OS::Heat::Value", "properties": {"value": {"get_file": place}}}
    return {
        "get_file": hot({"v": value}),
        "get_file in an output": hot({}, outputs={"o": {"value": {"get_file": place}}}),
        "the type of a resource": hot({"v": {"type": place}}),
        "the type in a group": hot({"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": {"type": place}}}}),
        "the registry of an environment": {**hot({"v": {"type": "My::Type"}}), "environment": {"resource_registry": {"My::Type": place}}},
        "the registry's base": {**hot({"v": {"type": "My::Type"}}), "environment": {"resource_registry": {"base_url": place, "My::Type": "x.yaml"}}},
        "environment_files": {**hot({}), "environment_files": [place]},
        "template_url": {"template_url": place},
        "a nested stack": hot({"s": {"type": "OS::Heat::Stack", "properties": {"template": {"get_file": place}}}}),
        "a file's own get_file": {**hot({"v": {"type": "a.yaml"}}), "files": {"a.yaml": "heat_template_version: rocky\nresources: {v: {type: 'OS::Heat::Value', "
                                  f"properties: {{value: {{get_file: '{place}'}}}}}}}}\n"}},
    }


@pytest.mark.parametrize("place", INSIDE)
def test_no_door_leads_to_the_servers_files_and_ports(cloud, demo, place):
    place = place.format(port=cloud.port)
    for door, body in ways_in(place).items():
        for request in ("", "/preview"):
            answer = demo.orchestration.request("POST", f"/v1/{demo.project_id}/stacks{request}", {"stack_name": unique("s"), "timeout_mins": 1, **body})
            text = answer.text
            if answer.status == 201 and door == "get_file in an output":
                # An output is only looked at when it is shown: it has no value then, and says why.
                text = shown_and_removed(demo, answer.json["stack"]["id"])
                assert "output_error" in text
            elif answer.status != 200 or door != "get_file in an output":
                assert 400 <= answer.status < 500, f"{door}: {answer.status} {text[:300]}"
            assert not any(secret in text for secret in SECRETS), f"{door}: {text[:300]}"


def shown_and_removed(account, identity):
    """What a stack shows when nothing is in progress any more; then it is deleted."""
    text = wait.until(lambda: ended(account, identity), 60)
    name = shown_name(account, identity)
    account.orchestration.request("DELETE", f"/v1/{account.project_id}/stacks/{name}/{identity}").expect(204)
    wait.until(lambda: not [row for row in account.orchestration.get(f"/v1/{account.project_id}/stacks")["stacks"] if row["id"] == identity], 60)
    return text


def test_redirects_do_not_lead_inside(demo, stacks_of, internet):
    """The attacker's own server is public and may be asked; where it sends us is looked at again."""
    root = f"/v1/{demo.project_id}/stacks"
    for path in ("/good.yaml", "/there"):
        shown = demo.orchestration.request("POST", f"/v1/{demo.project_id}/validate", {"template_url": internet + path}).expect(200)
        assert "Parameters" in shown.text
    for path in ("/to-loopback", "/to-localhost", "/to-v6", "/to-mapped", "/to-metadata", "/to-file", "/to-private", "/to-zero", "/to-decimal", "/to-short",
                 "/twice", "/round", "/endless"):
        answer = demo.orchestration.request("POST", root, {"stack_name": unique("s"), "template_url": internet + path}).expect(400)
        assert not any(secret in answer.text for secret in SECRETS), f"{path}: {answer.text[:300]}"
    assert os.path.exists("/etc/passwd")


# ---- what grows ----

# MiB that any one of these may take.
MOST = 400

ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefghij", "bcdefghijk"))
MERGES = "a: &a {x0: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [{','.join(['*b' + str(n - 1)] * 50)}], y{n}: 1}}\n" if n else "b0: &b0 {<<: *a}\n" for n in range(60))
HEAD = "heat_template_version: rocky\n"
TEXTS = {
    "aliases": HEAD + ALIASES, "aliases in a resource": HEAD + "resources:\n  r:\n    type: OS::Heat::Value\n    properties:\n      value:\n"
    + "".join(f"        {line}\n" for line in ALIASES.splitlines()),
    "merges": HEAD + MERGES, "an alias of itself": HEAD + "resources: &r {a: *r}\n", "flow depth": HEAD + "resources: " + "[" * 100000,
    "closed flow depth": HEAD + "resources: " + "[" * 50000 + "]" * 50000, "mapping depth": HEAD + "resources: " + "{a: " * 50000,
    "block depth": HEAD + "".join(" " * n + "a:\n" for n in range(700)), "list depth": HEAD + "resources:\n " + "- " * 100000 + "x\n",
    "question marks": HEAD + "resources:\n " + "? " * 50000 + "x\n", "anchors": HEAD + "resources: [" + ",".join(f"&a{n} x" for n in range(50000)) + "]\n",
    "tags": HEAD + "resources: !!python/object/apply:os.system ['touch /tmp/owned']\n", "a long key": HEAD + "? " + "k" * 400000 + "\n: v\n",
    "a huge number": HEAD + "description: " + "9" * 400000 + "\n", "sixties": HEAD + "description: " + ":".join(["59"] * 50000) + "\n",
    "quotes": HEAD + "description: \"" + "\\u0041" * 60000, "documents": HEAD + "---\n" * 100000, "directives": "%YAML 1.1\n" * 50000 + HEAD,
    "too large": HEAD + "description: " + "x" * 600000 + "\n", "conditions": HEAD + "conditions:\n" + "".join(
        f"  c{n}: {{or: [c{n + 1}, c{n + 1}]}}\n" for n in range(60)) + "  c60: true\nresources: {r: {type: 'OS::Heat::None', condition: c0}}\n",
}
REFUSED_OR_SMALL = {"anchors", "a long key", "a huge number", "sixties", "documents", "directives", "conditions"}


@pytest.fixture
def victim(scrap):
    """The demo user of a cloud that may take some memory for each test, but not much: a watcher ends it, and so the test, at MOST."""
    before, peak, over = host.memory_of(scrap.process), 0, threading.Event()

    def watch():
        nonlocal peak
        while not over.wait(0.02) and scrap.alive():
            peak = max(peak, host.memory_of(scrap.process) - before)
            if peak > MOST:
                scrap.process.kill()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield scrap.account("demo")
    finally:
        over.set()
        watcher.join()
        if not scrap.alive():
            scrap.process.wait()
            scrap.start()
    assert peak <= MOST, f"{peak} MiB"


@pytest.mark.parametrize("name", TEXTS)
def test_bombs_of_text_are_refused(victim, name):
    """In bounded time and memory, as templates, environments and files."""
    demo = victim
    root = f"/v1/{demo.project_id}"
    for path, body in (("/validate", {"template": TEXTS[name]}), ("/stacks", {"stack_name": unique("s"), "template": TEXTS[name]}),
                       ("/validate", {"template": {"heat_template_version": "rocky"}, "environment": TEXTS[name]}),
                       ("/validate", {"template": {"heat_template_version": "rocky", "resources": {"r": {"type": "a.yaml"}}}, "files": {"a.yaml": TEXTS[name]}})):
        answer = demo.orchestration.request("POST", root + path, body)
        if answer.status == 201:
            shown_and_removed(demo, answer.json["stack"]["id"])
        assert 400 <= answer.status < 500 or name in REFUSED_OR_SMALL and answer.status in (200, 201), f"{path}: {answer.status} {answer.text[:300]}"
        assert len(answer.text) < 1 << 20, f"{path}: {len(answer.text)} bytes"
    assert not os.path.exists("/tmp/owned")


def value(expression, **more):
    return {"resources": {"v": {"type": "OS::Heat::Value", "properties": {"value": expression}}, **more}}


def chain(length, first, wrap):
    """Resources of which each makes its value out of the one before: small to write, ten times as large at every step."""
    resources = {"v0": {"type": "OS::Heat::Value", "properties": {"value": first}}}
    for number in range(1, length):
        before = {"get_attr": [f"v{number - 1}", "value"]}
        resources[f"v{number}"] = {"type": "OS::Heat::Value", "properties": {"value": wrap(before)}}
    return {"resources": resources, "outputs": {"o": {"value": {"get_attr": [f"v{length - 1}", "value"]}}}}


def group(count, inner):
    return {"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": inner}}


def nested(steps, wrap, innermost):
    for _ in range(steps):
        innermost = wrap(innermost)
    return innermost


NONE = {"type": "OS::Heat::None"}
EXPLOSIONS = {
    "a group": {"resources": {"g": group(10**9, NONE)}},
    "a group above the limit of a stack": {"resources": {"g": group(5000, NONE)}},
    "groups of groups": {"resources": {"g": group(100, group(100, group(100, NONE)))}},
    "groups without end": {"resources": {"g": nested(50, lambda inner: group(2, inner), NONE)}},
    "indices": {"resources": {"g": {"type": "OS::Heat::ResourceGroup", "properties": {
        "count": 900, "index_var": "x", "resource_def": {"type": "OS::Heat::Value", "properties": {"value": "x" * 10000}}}}}},
    "repeat": value({"repeat": {"for_each": {f"%{c}%": list(range(60)) for c in "abcd"}, "template": "%a%%b%%c%%d%"}}),
    "repeat in repeat": value(nested(5, lambda inner: {"repeat": {"for_each": {"%a%": list(range(100))}, "template": inner}}, "%a%")),
    "repeat of a long text": value({"repeat": {"for_each": {"%a%": list(range(2000))}, "template": "%a%" + "x" * 100000}}),
    "str_replace": chain(9, "a" * 1000, lambda inner: {"str_replace": {"template": "a" * 10, "params": {"a": inner}}}),
    "list_join": chain(9, "x" * 1000, lambda inner: {"list_join": ["", [inner] * 10]}),
    "list_concat": chain(9, ["x"] * 100, lambda inner: {"list_concat": [inner] * 10}),
    "lists of lists": chain(9, ["x"] * 100, lambda inner: [inner] * 10),
    "repeat of repeat": chain(9, ["x"] * 100, lambda inner: {"repeat": {"for_each": {"%a%": inner, "%b%": inner}, "template": "%a%%b%"}}),
    "json": chain(9, "\"" * 1000, lambda inner: {"str_replace": {"template": "v", "params": {"v": {"a": inner}}}}),
    "digest of a long text": value({"digest": ["sha512", {"list_join": ["y" * 100000, ["x"] * 5000]}]}),
    "str_split": value({"str_split": ["", "x" * 1000]}),
    "a long random string": {"resources": {"r": {"type": "OS::Heat::RandomString", "properties": {"length": 10**9}}}},
    "resources": {"resources": {f"r{number}": NONE for number in range(5000)}},
    "a whole resource by name": {"resources": {"r": {**NONE, "depends_on": [f"r{number}" for number in range(10000)]}}},
    "dependencies": {"resources": {f"r{number}": {**NONE, "depends_on": [f"r{other}" for other in range(number)]} for number in range(300)}},
    "a pattern": {"parameters": {"p": {"type": "string", "default": "a" * 5000 + "!", "constraints": [{"allowed_pattern": "(a+)+(a|aa)*$"}]}}},
    "a range": {"parameters": {"p": {"type": "number", "default": 1, "constraints": [{"modulo": {"step": 0, "offset": 0}}]}}},
    "outputs": {**value({"list_join": ["", ["x" * 1000] * 100]}), "outputs": {f"o{number}": {"value": {"get_attr": ["v", "value"]}} for number in range(1000)}},
}


@pytest.mark.parametrize("name", EXPLOSIONS)
def test_explosions_are_refused_or_end(victim, name):
    """At validation, at creation, or as a failed stack; in bounded time and memory, and the next stack works."""
    demo, stacks = victim, Stacks(victim)
    template = {"heat_template_version": "rocky", **EXPLOSIONS[name]}
    validated = demo.orchestration.request("POST", f"/v1/{demo.project_id}/validate", {"template": template})
    assert validated.status < 500 and len(validated.text) < 4 << 20
    made = stacks.request("POST", "", {"stack_name": unique("boom"), "template": template, "timeout_mins": 1})
    assert made.status == 201 or 400 <= made.status < 500, f"{made.status} {made.text[:300]}"
    if made.status == 201:
        identity = made.json["stack"]["id"]
        shown = wait.until(lambda: ended(demo, identity), 100, 0.5, "the end of the explosion")
        assert len(shown) < 20 << 20, f"{len(shown)} bytes"
        stacks.made[shown_name(demo, identity)] = identity
    stacks.deploy("""
        heat_template_version: rocky
        resources: {r: {type: OS::Heat::None}}
        """)
    stacks.clean()


def shown_name(account, identity):
    listed = account.orchestration.get(f"/v1/{account.project_id}/stacks")["stacks"]
    return next(row["stack_name"] for row in listed if row["id"] == identity)


def ended(account, identity):
    """The stack as shown, when nothing is in progress any more."""
    listed = account.orchestration.get(f"/v1/{account.project_id}/stacks")["stacks"]
    row = next(row for row in listed if row["id"] == identity)
    if row["stack_status"].endswith("IN_PROGRESS"):
        return None
    path = f"/v1/{account.project_id}/stacks/{row['stack_name']}/{identity}"
    return account.orchestration.request("GET", path).expect(200).text
