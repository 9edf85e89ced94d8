"""Requests a second and their latency, with wrk, at one and at sixteen connections."""
import json
import re
import subprocess
import tempfile

from .common import Row

SECONDS = 5
CONNECTIONS = (1, 16)
NETWORKS = 1000
BULK = 100

# Numbers the bodies, so that every create is a new object.
SCRIPT = """
local headers = {{ ["X-Auth-Token"] = "{token}", ["Content-Type"] = "application/json", ["X-Subject-Token"] = "{token}" }}
local counter = 0
function request()
  counter = counter + 1
  local body = [==[{body}]==]
  if body == "" then return wrk.format("{method}", "{path}", headers) end
  return wrk.format("{method}", "{path}", headers, (body:gsub("@", counter)))
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


def load(cloud, method, path, token, body="", connections=1):
    """(answers, the rest as text) of a few seconds of requests."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(token=token, method=method, path=path, body=body))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--timeout", "30s", "-s", script.name, cloud.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 60, check=True)
    requests, micros, half, high, errors = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout).groups())
    if errors:
        raise RuntimeError(f"{method} {path}: {errors} of {requests} requests failed")
    return requests, f"{requests / micros * 1e6:,.0f}/s, p50 {half / 1000:.2f} ms, p99 {high / 1000:.2f} ms"


def measure(cloud):
    """The projects and what is in them stay: removing thousands of objects would take longer than measuring them."""
    admin = cloud.account("admin")
    writer, reader = admin.new_project(), admin.new_project()
    everything = {"network": -1, "port": -1, "subnet": -1}
    for account in (writer, reader):
        admin.network.put(f"/v2.0/quotas/{account.project_id}", {"quota": everything})
    for first in range(0, NETWORKS, BULK):
        names = [{"name": f"net{first + number}"} for number in range(BULK)]
        reader.network.post("/v2.0/networks", {"networks": names}, expect=(201,))
    listed = len(reader.network.get(f"/v2.0/networks?project_id={reader.project_id}")["networks"])
    network = writer.network.post("/v2.0/networks", {"network": {"name": "ports"}})["network"]["id"]
    writer.network.post("/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.0.0.0/8", "ip_version": 4}})
    rescope = {"auth": {"identity": {"methods": ["token"], "token": {"id": writer.token()}},
                        "scope": {"project": {"id": writer.project_id}}}}
    cases = [("token validation", writer, "GET", "/identity/v3/auth/tokens", ""),
             ("token issue less the hash (by token)", writer, "POST", "/identity/v3/auth/tokens", json.dumps(rescope)),
             (f"list of {listed} networks", reader, "GET", f"/network/v2.0/networks?project_id={reader.project_id}", ""),
             ("create of a network", writer, "POST", "/network/v2.0/networks", '{"network": {"name": "n@"}}'),
             ("create of a port", writer, "POST", "/network/v2.0/ports", json.dumps({"port": {"network_id": network, "name": "p@"}}))]
    rows = []
    for name, account, method, path, body in cases:
        for connections in CONNECTIONS:
            requests, text = load(cloud, method, path, account.token(), body, connections)
            rows.append(Row(f"{name}, {connections} at once", text, samples=requests))
    return rows
