"""Requests a second and their latency, with wrk, at one and at sixteen connections."""
import json
import re
import subprocess
import tempfile

from .common import Row

SECONDS = 5
NETWORKS = 1000

# Numbers the bodies, so that every create is a new object.
SCRIPT = """
local headers = {{ ["X-Auth-Token"] = "{token}", ["Content-Type"] = "application/json", ["X-Subject-Token"] = "{token}" }}
local thread_number, counter = 0, 0
function setup(thread) thread:set("number", thread_number); thread_number = thread_number + 1 end
function request()
  counter = counter + 1
  local body = [==[{body}]==]
  if body == "" then return wrk.format("{method}", "{path}", headers) end
  return wrk.format("{method}", "{path}", headers, (body:gsub("@", number .. "x" .. counter)))
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


def load(cloud, method, path, token, body="", connections=1):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(token=token, method=method, path=path, body=body))
        script.flush()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script.name, cloud.url], capture_output=True,
                              text=True, timeout=SECONDS + 60, check=True)
    requests, micros, half, high, errors = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout).groups())
    if errors:
        raise RuntimeError(f"{method} {path}: {errors} of {requests} requests failed")
    return f"{requests / micros * 1e6:,.0f}/s, p50 {half / 1000:.2f} ms, p99 {high / 1000:.2f} ms"


def measure(cloud):
    admin = cloud.account("admin")
    account = admin.new_project()
    everything = {"network": -1, "port": -1, "subnet": -1, "security_group": -1, "security_group_rule": -1}
    admin.network.put(f"/v2.0/quotas/{account.project_id}", {"quota": everything})
    token = account.token()
    rescope = json.dumps({"auth": {"identity": {"methods": ["token"], "token": {"id": token}},
                                   "scope": {"project": {"id": account.project_id}}}})
    network = account.network.post("/v2.0/networks", {"network": {"name": "ports"}})["network"]["id"]
    account.network.post("/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.0.0.0/8", "ip_version": 4}})
    cases = [("token validation", "GET", "/identity/v3/auth/tokens", ""),
             ("token issue without the password hash (by token)", "POST", "/identity/v3/auth/tokens", rescope),
             ("create of a port", "POST", "/network/v2.0/ports", json.dumps({"port": {"network_id": network, "name": "p@"}})),
             ("create of a network", "POST", "/network/v2.0/networks", '{"network": {"name": "n@"}}')]
    rows = []
    for name, method, path, body in cases:
        one, many = (load(cloud, method, path, token, body, connections) for connections in (1, 16))
        rows.append(Row(name, f"1: {one}<br>16: {many}"))
    trim(account)
    one, many = (load(cloud, "GET", f"/network/v2.0/networks?project_id={account.project_id}", token, "", connections) for connections in (1, 16))
    rows.append(Row(f"list of {NETWORKS} networks", f"1: {one}<br>16: {many}"))
    clear(account)
    admin.network.delete(f"/v2.0/quotas/{account.project_id}")
    admin.drop_project(account)
    return rows


def of_project(account, collection, fields="id"):
    return account.network.get(f"/v2.0/{collection}?project_id={account.project_id}&fields={fields}")[collection]


def trim(account):
    """Leaves exactly the number of networks that the list is measured with."""
    present = of_project(account, "networks")
    for row in present[NETWORKS:]:
        account.network.request("DELETE", f"/v2.0/networks/{row['id']}")
    for number in range(NETWORKS - len(present)):
        account.network.post("/v2.0/networks", {"network": {"name": f"fill{number}"}})


def clear(account):
    for collection in ("ports", "networks"):
        for row in of_project(account, collection):
            account.network.request("DELETE", f"/v2.0/{collection}/{row['id']}")
