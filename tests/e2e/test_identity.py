"""Identity: bootstrap, tokens and their end, administration as the command uses it."""
import stat
import threading

import pytest

from support.accounts import Account, unique


def validate(account, token):
    """The status of validating TOKEN as ACCOUNT."""
    return account.identity.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": token}).status


@pytest.fixture
def user(admin):
    """A throw-away user with the member role on a throw-away project."""
    account = admin.new_project()
    account.token()
    yield account
    admin.drop_project(account)


# ---- what the first start leaves ----

def test_files_of_the_first_start_are_for_their_owner_only(cloud):
    assert stat.S_IMODE(cloud.state.stat().st_mode) == 0o700
    for name in ("openrc", "demo-openrc", "clouds.yaml"):
        assert stat.S_IMODE((cloud.state / name).stat().st_mode) == 0o600, name


def test_bootstrap(admin):
    assert {"admin", "manager", "member", "reader", "service"} <= {r["name"] for r in admin.identity.get("/v3/roles")["roles"]}
    assert {"admin", "service", "demo"} <= {p["name"] for p in admin.identity.get("/v3/projects")["projects"]}
    assert [r["id"] for r in admin.identity.get("/v3/regions")["regions"]] == ["RegionOne"]
    types = {s["type"] for s in admin.identity.get("/v3/services")["services"]}
    assert {"identity", "network", "container", "orchestration"} <= types


def test_version_discovery_needs_no_token(admin):
    assert admin.identity.request("GET", "/", token=False).status == 300
    version = admin.identity.request("GET", "/v3", token=False).expect(200).json["version"]
    assert version["id"].startswith("v3.") and version["status"] == "stable"


# ---- the thesis's commands ----

def test_the_commands_of_the_thesis(admin):
    token = admin.openstack("token", "issue", "-f", "json")
    assert token["id"].startswith("gAAAA") and token["project_id"] == admin.project_id
    catalog = {entry["Type"]: entry for entry in admin.openstack("catalog", "list", "-f", "json")}
    assert {"identity", "network", "container", "orchestration"} <= set(catalog)
    name = unique("zun")
    try:
        admin.openstack("user", "create", "--domain", "default", "--password", "secret word", name)
        admin.openstack("role", "add", "--project", "service", "--user", name, "admin")
        admin.openstack("service", "create", "--name", name, "--description", "Container Service", "container-test")
        endpoint = admin.openstack("endpoint", "create", "--region", "RegionOne", "-f", "json", "container-test", "public",
                                   "http://controller:9517/v1")
        assert endpoint["url"] == "http://controller:9517/v1"
        names = [row["Name"] for row in admin.openstack("user", "list", "-f", "json")]
        assert name in names
    finally:
        admin.command("service", "delete", name)
        admin.command("user", "delete", name)


# ---- tokens ----

@pytest.mark.parametrize("scope", ["project", "system"])
def test_scopes(admin, scope):
    token = admin.login(scope).expect(201).json["token"]
    assert scope in token and token["roles"] and token["catalog"]


def test_domain_scope_needs_a_role_on_the_domain(admin):
    admin.login("domain").expect(401)
    role = admin.identity.get("/v3/roles?name=admin")["roles"][0]["id"]
    grant = f"/v3/domains/default/users/{admin.user_id}/roles/{role}"
    admin.identity.put(grant, expect=(204,))
    try:
        assert admin.login("domain").expect(201).json["token"]["domain"]["id"] == "default"
    finally:
        admin.identity.delete(grant)


def test_unscoped_token_and_rescoping(admin):
    unscoped = admin.login("none").expect(201)
    assert "project" not in unscoped.json["token"] and "catalog" not in unscoped.json["token"]
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": unscoped.headers["X-Subject-Token"]}},
                     "scope": {"project": {"id": admin.project_id}}}}
    scoped = admin.identity.request("POST", "/v3/auth/tokens", body, token=False).expect(201).json["token"]
    assert scoped["project"]["id"] == admin.project_id
    assert set(scoped["methods"]) == {"password", "token"}
    assert scoped["expires_at"] == unscoped.json["token"]["expires_at"]


def test_application_credential(user, admin):
    path = f"/v3/users/{user.user_id}/application_credentials"
    made = user.identity.post(path, {"application_credential": {"name": "robot", "roles": [{"name": "member"}]}})
    credential = made["application_credential"]
    body = {"auth": {"identity": {"methods": ["application_credential"],
                                  "application_credential": {"id": credential["id"], "secret": credential["secret"]}}}}
    answer = user.identity.request("POST", "/v3/auth/tokens", body, token=False).expect(201)
    assert answer.json["token"]["project"]["id"] == user.project_id
    assert "secret" not in user.identity.get(path)["application_credentials"][0]
    user.identity.delete(f"{path}/{credential['id']}")
    assert validate(admin, answer.headers["X-Subject-Token"]) == 404


def test_validate_check_revoke(user, admin):
    token = user.login().expect(201).headers["X-Subject-Token"]
    shown = user.identity.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": token}).expect(200)
    assert shown.json["token"]["user"]["id"] == user.user_id and shown.headers["X-Subject-Token"] == token
    user.identity.request("HEAD", "/v3/auth/tokens", headers={"X-Subject-Token": token}).expect(200)
    user.identity.request("DELETE", "/v3/auth/tokens", headers={"X-Subject-Token": token}).expect(204)
    assert validate(admin, token) == 404
    user.network.request("GET", "/v2.0/networks", token=token).expect(401)


def test_wrong_password_and_unknown_user_answer_alike(admin):
    wrong = admin.login(OS_PASSWORD="wrong").expect(401)
    unknown = admin.login(OS_USERNAME="nobody-here").expect(401)
    assert wrong.json == unknown.json


@pytest.mark.parametrize("end", ["user deleted", "user disabled", "password changed", "role removed", "project disabled"])
def test_a_token_dies_at_once_everywhere(admin, end):
    user = admin.new_project()
    token = user.token()
    user.network.request("GET", "/v2.0/networks").expect(200)
    try:
        if end == "user deleted":
            admin.identity.delete(f"/v3/users/{user.user_id}")
        elif end == "user disabled":
            admin.identity.patch(f"/v3/users/{user.user_id}", {"user": {"enabled": False}})
        elif end == "password changed":
            change = {"user": {"original_password": user.settings["OS_PASSWORD"], "password": "another secret"}}
            user.identity.post(f"/v3/users/{user.user_id}/password", change, expect=(204,))
        elif end == "role removed":
            role = admin.identity.get("/v3/roles?name=member")["roles"][0]["id"]
            admin.identity.delete(f"/v3/projects/{user.project_id}/users/{user.user_id}/roles/{role}")
        else:
            admin.identity.patch(f"/v3/projects/{user.project_id}", {"project": {"enabled": False}})
        for service, path in (("network", "/v2.0/networks"), ("container", "/v1/containers"),
                              ("orchestration", f"/v1/{user.project_id}/stacks")):
            getattr(user, service).request("GET", path, token=token).expect(401)
        assert validate(admin, token) == 404
    finally:
        admin.drop_project(user)


def test_logins_do_not_stall_the_others(admin):
    """Forty wrong logins at once each cost a password hash; a token is validated many times before they are through."""
    through = threading.Event()
    admin.token()

    def flood():
        threads = [threading.Thread(target=lambda: admin.login(OS_PASSWORD="wrong")) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        through.set()
    flooding = threading.Thread(target=flood)
    flooding.start()
    served = 0
    while not through.is_set():
        admin.identity.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": admin.token()}).expect(200)
        served += 1
    flooding.join()
    assert served >= 20, f"only {served} validations were served while 40 logins went on"


# ---- administration ----

RESOURCES = {
    "projects": {"name": None, "domain_id": "default"},
    "users": {"name": None, "domain_id": "default", "password": "secret"},
    "roles": {"name": None},
    "services": {"name": None, "type": "some-type"},
    "domains": {"name": None, "enabled": False},
}


@pytest.mark.parametrize("collection", RESOURCES)
def test_create_show_list_update_delete(admin, collection):
    key, name = collection[:-1], unique("thing")
    body = {field: name if value is None else value for field, value in RESOURCES[collection].items()}
    made = admin.identity.post(f"/v3/{collection}", {key: body}, expect=(201,))[key]
    path = f"/v3/{collection}/{made['id']}"
    try:
        assert "password" not in made
        assert admin.identity.get(path)[key]["name"] == name
        assert [row["id"] for row in admin.identity.get(f"/v3/{collection}?name={name}")[collection]] == [made["id"]]
        changed = admin.identity.patch(path, {key: {"description": "changed"}})[key]
        assert changed["description"] == "changed" and changed["name"] == name
        if collection not in ("services",):
            admin.identity.request("POST", f"/v3/{collection}", {key: body}).expect(409)
    finally:
        admin.identity.delete(path, expect=(204,))
    answer = admin.identity.request("GET", path).expect(404)
    assert answer.json["error"]["code"] == 404 and answer.json["error"]["title"] == "Not Found"


def test_lists_come_in_pages(admin):
    names = sorted(unique("page") for _ in range(3))
    ids = [admin.identity.post("/v3/users", {"user": {"name": name, "password": "x"}})["user"]["id"] for name in names]
    try:
        seen, path = [], "/v3/users?limit=1"
        while path:
            page = admin.identity.get(path)
            assert len(page["users"]) <= 1
            seen += [row["id"] for row in page["users"]]
            following = page["links"]["next"]
            path = "/v3" + following.split("/v3", 1)[1] if following else None
        assert set(ids) <= set(seen) and len(seen) == len(set(seen))
    finally:
        for user in ids:
            admin.identity.delete(f"/v3/users/{user}")


def test_an_enabled_domain_is_not_deleted(admin):
    domain = admin.identity.post("/v3/domains", {"domain": {"name": unique("domain")}})["domain"]["id"]
    admin.identity.request("DELETE", f"/v3/domains/{domain}").expect(403)
    admin.identity.patch(f"/v3/domains/{domain}", {"domain": {"enabled": False}})
    admin.identity.delete(f"/v3/domains/{domain}")


def test_a_member_may_not_administer(user):
    for method, path, body in (("GET", "/v3/users", None), ("POST", "/v3/users", {"user": {"name": "x", "password": "y"}}),
                               ("POST", "/v3/projects", {"project": {"name": "x"}}), ("GET", "/v3/roles", None),
                               ("DELETE", f"/v3/projects/{user.project_id}", None)):
        answer = user.identity.request(method, path, body)
        assert answer.status == 403, f"{method} {path}: {answer.status}"


def test_user_lists_own_projects(user):
    projects = user.identity.get("/v3/auth/projects")["projects"]
    assert [row["id"] for row in projects] == [user.project_id]


def test_bad_input_is_refused_with_a_reason(admin):
    for body in ({}, {"user": {}}, {"user": {"name": 5}}, {"user": {"name": "x" * 300}}, {"user": {"name": "x", "enabled": "yes"}}, []):
        answer = admin.identity.request("POST", "/v3/users", body).expect(400)
        assert answer.json["error"]["message"]
    admin.identity.request("POST", "/v3/auth/tokens", data="{not json", headers={"Content-Type": "application/json"},
                           token=False).expect(400)


def test_sdk_connects_with_clouds_yaml(cloud, monkeypatch):
    """The SDK finds every service from the written file alone."""
    import openstack
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.state / "clouds.yaml"))
    names = openstack.config.OpenStackConfig().get_cloud_names()
    assert names
    with openstack.connect(cloud=sorted(names)[0]) as connection:
        assert connection.authorize()
        assert {"ext-net", "flat-lan-1-net"} <= {network.name for network in connection.network.networks()}


def test_accounts_of_different_domains_do_not_meet(admin):
    """The same name in two domains is two users."""
    domain = admin.identity.post("/v3/domains", {"domain": {"name": unique("domain")}})["domain"]
    made = admin.identity.post("/v3/users", {"user": {"name": "demo", "domain_id": domain["id"], "password": "theirs"}})["user"]
    try:
        account = Account(admin.cloud_url, {**admin.settings, "OS_USERNAME": "demo", "OS_PASSWORD": "theirs",
                                            "OS_USER_DOMAIN_NAME": domain["name"]})
        assert account.login("none").expect(201).json["token"]["user"]["id"] == made["id"]
        account.login("project").expect(401)
    finally:
        admin.identity.patch(f"/v3/domains/{domain['id']}", {"domain": {"enabled": False}})
        admin.identity.delete(f"/v3/domains/{domain['id']}")
