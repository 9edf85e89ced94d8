"""Who may do what, at every endpoint of the table: nobody, a stranger, a reader, an administrator; and when a token dies."""
import base64
import json
import os
import time

import pytest
from cryptography import fernet

from support import wait
from support.accounts import unique
from support.bodies import body_for, with_ids
from support.endpoints import Site, Wire, table

JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# What keystonemiddleware would set after it has checked a token, and what proxies and services set for each other.
CLAIMED = {"X-Identity-Status": "Confirmed", "X-Service-Identity-Status": "Confirmed", "X-User-Id": "admin", "X-User-Name": "admin",
           "X-User": "admin", "X-Roles": "admin,service", "X-Role": "admin", "X-Is-Admin-Project": "True", "X-Project-Name": "admin",
           "X-Tenant-Name": "admin", "X-System-Scope": "all", "OpenStack-System-Scope": "all", "X-Service-Roles": "admin",
           "X-Auth-User": "admin", "Forwarded": "for=127.0.0.1", "X-Forwarded-For": "127.0.0.1", "X-Service-Token": "x"}


@pytest.fixture(scope="module")
def site(scrap):
    return Site(scrap.account("admin"))


@pytest.fixture(scope="module")
def wire(scrap):
    return Wire(scrap.port)


def asked(wire, endpoint, site, token, headers=None, body=True):
    """The answer to a well-formed request at the endpoint, with the site's ids in path and body."""
    sent = {**JSON, **(headers or {})}
    if token:
        sent["X-Auth-Token"] = token
    if endpoint.service == "container":
        sent["OpenStack-API-Version"] = "container 1.40"
    data = None
    if body and endpoint.method in ("POST", "PUT", "PATCH"):
        data = json.dumps(with_ids(body_for(endpoint) or {}, site.id))
        if endpoint.service == "image" and endpoint.method == "PATCH":
            sent["Content-Type"] = "application/openstack-images-v2.1-json-patch"
    return wire.send(endpoint.method, "/" + endpoint.service + endpoint.fill(site.id), data, sent)


# ---- every endpoint ----

def test_no_endpoint_answers_without_a_token(site, wire):
    """Neither without one, nor with the headers that a middleware would set for the administrator, nor with another's words."""
    good = site.account.token()
    forged = fernet.Fernet(base64.urlsafe_b64encode(os.urandom(32))).encrypt(b"\x02" + os.urandom(60)).decode().rstrip("=")
    wrong = [None, "", "nonsense", good[:-8], good[:-1], good + "A", good.swapcase(), forged, "Bearer " + good]
    answered = []
    for number, endpoint in enumerate(row for row in table() if not row.open):
        before = {"X-Project-Id": site.account.project_id, "X-Tenant-Id": site.account.project_id}
        for token, headers in ((None, {**CLAIMED, **before}), (wrong[number % len(wrong)], {})):
            status, text, _ = asked(wire, endpoint, site, token, headers)
            if status != 401:
                answered.append(f"{endpoint} with token {str(token)[:12]}…: {status} {text[:200]}")
    assert not answered, "\n".join(answered)


# What everybody with a token may see: the catalogue and its regions.
OF_ALL = {"GET identity/v3/regions/{region_id}", "GET identity/v3/auth/catalog"}


def test_a_stranger_sees_and_changes_nothing(scrap, site, wire):
    """Another project's member asks for everything of ours by its id, with well-formed bodies and the administrator's headers."""
    stranger = scrap.account("admin").new_project()
    before, faults = site.state(), []
    for endpoint in table():
        if endpoint.open:
            continue
        status, text, _ = asked(wire, endpoint, site, stranger.token(), CLAIMED)
        if status >= 500 or status < 400 and (site.own(endpoint) or site.mark in text) and str(endpoint) not in OF_ALL:
            faults.append(f"{endpoint}: {status} {text[:200]}")
    assert not faults, "\n".join(faults)
    assert site.state() == before


# A reader may try a template out, and manage what belongs to himself alone.
OF_READERS = {"POST orchestration/v1/{tenant}/validate", "POST orchestration/v1/{tenant}/stacks/preview"}


def test_a_reader_changes_nothing(site, wire):
    """Of the same project: every request that could change something, with a well-formed body."""
    before, faults = site.state(), []
    for endpoint in table():
        if endpoint.open:
            continue
        status, text, _ = asked(wire, endpoint, site, site.reader.token(), CLAIMED)
        changes = endpoint.method not in ("GET", "HEAD") and str(endpoint) not in OF_READERS
        if status >= 500 or status == 401 or changes and status < 300:
            faults.append(f"{endpoint}: {status} {text[:200]}")
    assert not faults, "\n".join(faults)
    assert site.state() == before


def test_an_administrator_may_look_at_everything(site, wire):
    faults = []
    for endpoint in table():
        if endpoint.method != "GET":
            continue
        status, text, _ = asked(wire, endpoint, site, site.admin.token())
        if status >= 500 or status in (401, 403):
            faults.append(f"{endpoint}: {status} {text[:200]}")
    assert not faults, "\n".join(faults)


# ---- the death of a token ----

def usable(scrap, account, token):
    """At which services the token is taken, as the statuses of a list at each."""
    paths = {"identity": "/v3/auth/projects", "image": "/v2/images", "network": "/v2.0/networks", "container": "/v1/containers",
             "orchestration": f"/v1/{account.project_id}/stacks"}
    return {getattr(account, service).request("GET", path, token=token).status for service, path in paths.items()}


def test_a_token_dies_at_once_everywhere_and_stays_dead(scrap):
    """Whatever its ground goes: the role, the password, the user, the project, the token itself. Again after a restart."""
    admin = scrap.account("admin")
    identity = admin.identity
    member = identity.get("/v3/roles?name=member")["roles"][0]["id"]

    def grant_of(user):
        return f"/v3/projects/{user.project_id}/users/{user.user_id}/roles/{member}"

    deaths = {
        "role removed": lambda user: identity.delete(grant_of(user)),
        "password changed by its owner": lambda user: identity.post(f"/v3/users/{user.user_id}/password", {"user": {
            "original_password": user.settings["OS_PASSWORD"], "password": unique("new")}}, expect=(204,)),
        "password set by an administrator": lambda user: identity.patch(f"/v3/users/{user.user_id}", {"user": {"password": unique("new")}}),
        "user disabled": lambda user: identity.patch(f"/v3/users/{user.user_id}", {"user": {"enabled": False}}),
        "user deleted": lambda user: identity.delete(f"/v3/users/{user.user_id}"),
        "project disabled": lambda user: identity.patch(f"/v3/projects/{user.project_id}", {"project": {"enabled": False}}),
        "project deleted": lambda user: identity.delete(f"/v3/projects/{user.project_id}"),
        "token revoked": lambda user: identity.request("DELETE", "/v3/auth/tokens", headers={"X-Subject-Token": user.token()}).expect(204),
    }
    tokens = {}
    for name, kill in deaths.items():
        user = admin.new_project()
        tokens[name] = (user, user.token())
        assert usable(scrap, user, user.token()) == {200}, name
        kill(user)
        assert usable(scrap, user, tokens[name][1]) == {401}, name
    kept = admin.new_project()
    alive = kept.token()
    scrap.restart()
    for name, (user, token) in tokens.items():
        assert usable(scrap, user, token) == {401}, f"{name}, after a restart"
    assert usable(scrap, kept, alive) == {200}


def test_an_expired_token_is_refused_everywhere(scrap):
    """A token that lives for seconds; and one whose time stamp the attacker moved: the time is under the signature."""
    user = scrap.account("admin").new_project()
    raw = bytearray(base64.urlsafe_b64decode(user.token() + "=" * (-len(user.token()) % 4)))
    raw[1:9] = (int(time.time()) + 30 * 86400).to_bytes(8, "big")
    assert usable(scrap, user, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")) == {401}
    user.forget_token()
    scrap.arguments += ["--set", "identity.token_expiration=6"]
    scrap.restart()
    token = user.token()
    assert usable(scrap, user, token) == {200}
    wait.until(lambda: usable(scrap, user, token) == {401}, 30, what="the end of the token")
    del scrap.arguments[-2:]
    scrap.restart()
    assert usable(scrap, user, token) == {401}, "the end is written in the token, not in the settings"
