"""A user of the cloud: the unmodified `openstack` command, and the REST APIs directly where a check needs the exact answer."""
import json
import os
import re
import subprocess
import sys
import uuid

import requests

MEDIA = "application/json"
CONTAINER_VERSION = "1.40"
CLIENTS = os.path.dirname(sys.executable)
REQUEST_SECONDS = 60


def read_openrc(path):
    """The OS_* settings that a shell gets from an openrc file."""
    done = subprocess.run(["bash", "-c", 'set -a; . "$1"; env -0', "bash", str(path)], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"]}, check=True)
    pairs = (entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)
    return {key: value for key, value in pairs if key.startswith("OS_")}


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Answer:
    """A REST answer whose unexpected status fails the test with the body in the message."""

    def __init__(self, response):
        self.response = response
        self.status = response.status_code
        self.headers = response.headers

    @property
    def text(self):
        return self.response.text

    @property
    def json(self):
        return self.response.json()

    def expect(self, *statuses):
        request = self.response.request
        assert self.status in statuses, \
            f"{request.method} {request.url}: {self.status} instead of {statuses}: {self.text[:600]} (sent: {str(request.body)[:300]})"
        return self

    def message(self):
        """The error text, whatever family of body carries it."""
        body = self.json
        for found in (body.get("NeutronError"), body.get("error"), *body.get("errors", [])):
            if isinstance(found, dict):
                return found.get("message") or found.get("detail") or ""
        return body.get("explanation") or body.get("message") or self.text


class Service:
    """One service's API for one user. Paths lie below the service's root, version included: /v2.0/networks."""

    def __init__(self, account, name, headers=None):
        self.account, self.name, self.default_headers = account, name, headers or {}

    def request(self, method, path, body=None, headers=None, data=None, token=True):
        sent = {"Accept": MEDIA, **self.default_headers, **(headers or {})}
        if token:
            sent["X-Auth-Token"] = token if isinstance(token, str) else self.account.token()
        if body is not None:
            data = json.dumps(body)
            sent.setdefault("Content-Type", MEDIA)
        return Answer(requests.request(method, self.account.cloud_url + "/" + self.name + path, data=data, headers=sent,
                                       timeout=REQUEST_SECONDS, allow_redirects=False))

    def get(self, path, expect=(200,), **more):
        answer = self.request("GET", path, **more).expect(*expect)
        return answer.json if answer.text else None

    def post(self, path, body=None, expect=(200, 201, 202, 204), **more):
        answer = self.request("POST", path, body, **more).expect(*expect)
        return answer.json if answer.text else None

    def put(self, path, body=None, expect=(200, 201, 202, 204), **more):
        answer = self.request("PUT", path, body, **more).expect(*expect)
        return answer.json if answer.text else None

    def patch(self, path, body=None, expect=(200, 202), **more):
        answer = self.request("PATCH", path, body, **more).expect(*expect)
        return answer.json if answer.text else None

    def delete(self, path, expect=(200, 202, 204), **more):
        self.request("DELETE", path, **more).expect(*expect)


class Account:
    def __init__(self, cloud_url, settings, administrator=None):
        self.cloud_url, self.settings = cloud_url, settings
        self.administrator = administrator or self
        self._token = None
        self._project_id = None
        self.identity = Service(self, "identity")
        self.image = Service(self, "image")
        self.network = Service(self, "network")
        self.container = self.container_at(CONTAINER_VERSION)
        self.orchestration = Service(self, "orchestration")

    def container_at(self, version):
        return Service(self, "container", {"OpenStack-API-Version": f"container {version}"})

    # ---- tokens ----

    def login(self, scope="project", **changed):
        """The answer of POST /v3/auth/tokens by password; SCOPE is project, domain, system, none or a scope object."""
        settings = {**self.settings, **changed}
        user = {"name": settings["OS_USERNAME"], "password": settings["OS_PASSWORD"],
                "domain": {"name": settings.get("OS_USER_DOMAIN_NAME", "Default")}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if scope == "project":
            scope = {"project": {"name": settings["OS_PROJECT_NAME"],
                                 "domain": {"name": settings.get("OS_PROJECT_DOMAIN_NAME", "Default")}}}
        elif scope == "system":
            scope = {"system": {"all": True}}
        elif scope == "domain":
            scope = {"domain": {"name": "Default"}}
        if scope != "none":
            auth["scope"] = scope
        return self.identity.request("POST", "/v3/auth/tokens", {"auth": auth}, token=False)

    def token(self):
        if self._token is None:
            answer = self.login().expect(201)
            self._token = answer.headers["X-Subject-Token"]
            self._project_id = answer.json["token"]["project"]["id"]
            self._user_id = answer.json["token"]["user"]["id"]
        return self._token

    def forget_token(self):
        self._token = None

    @property
    def project_id(self):
        self.token()
        return self._project_id

    @property
    def user_id(self):
        self.token()
        return self._user_id

    # ---- the command ----

    def command(self, *arguments, timeout=300):
        """The unmodified `openstack` command as this user; the finished process."""
        environment = {"PATH": f"{CLIENTS}:{os.environ['PATH']}", "HOME": "/nonexistent", "NO_PROXY": "*", **self.settings}
        return subprocess.run(["openstack", *map(str, arguments)], env=environment, capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)

    def openstack(self, *arguments, **more):
        """The same, which must succeed; returns what it printed, read as JSON when -f json is among the arguments."""
        done = self.command(*arguments, **more)
        assert done.returncode == 0, f"openstack {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}"
        if "json" in arguments:
            return json.loads(done.stdout)
        return re.sub(r"\n$", "", done.stdout)

    # ---- other users ----

    def new_project(self, role="member"):
        """(as the administrator) An Account of a new user with ROLE on a new project."""
        name, password = unique("tenant"), uuid.uuid4().hex
        project = self.identity.post("/v3/projects", {"project": {"name": name, "domain_id": "default"}})["project"]
        user = self.identity.post("/v3/users", {"user": {"name": name, "domain_id": "default", "password": password}})["user"]
        roles = self.identity.get(f"/v3/roles?name={role}")["roles"]
        self.identity.put(f"/v3/projects/{project['id']}/users/{user['id']}/roles/{roles[0]['id']}")
        return Account(self.cloud_url, {**self.settings, "OS_USERNAME": name, "OS_PASSWORD": password, "OS_PROJECT_NAME": name},
                       administrator=self)

    def drop_project(self, account):
        """(as the administrator) Removes what new_project made, the default security group and the quotas with it."""
        project = account.project_id
        for group in self.network.get(f"/v2.0/security-groups?project_id={project}&fields=id")["security_groups"]:
            self.network.delete(f"/v2.0/security-groups/{group['id']}", expect=(204, 404, 409))
        self.network.delete(f"/v2.0/quotas/{project}", expect=(204, 404))
        self.container.delete(f"/v1/quotas/{project}", expect=(200, 202, 204, 404))
        self.identity.delete(f"/v3/users/{account.user_id}", expect=(204, 404))
        self.identity.delete(f"/v3/projects/{project}", expect=(204, 404))
