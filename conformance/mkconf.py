"""Writes a tempest.conf from OS_* variables and the service catalogue.

Run with the interpreter of the Tempest virtual environment.  Everything that
can be discovered from the cloud (which services exist, image, flavour and
external-network identifiers) is discovered; everything else can be forced
with TEMPEST_<SECTION>__<OPTION>=value in the environment (dashes in section
names are written as single underscores, e.g. TEMPEST_VOLUME_FEATURE_ENABLED__BACKUP=false).
"""
import configparser
import os
import sys

from keystoneauth1 import session
from keystoneauth1.identity import v3

TYPES = {
    # service_available key -> catalogue types, most official first
    "glance": ["image"],
    "neutron": ["network"],
    "cinder": ["block-storage", "volumev3", "block-store", "volume"],
    "swift": ["object-store"],
    "nova": ["compute"],
    "heat": ["orchestration"],
    "zun": ["container", "application-container"],
    "barbican": ["key-manager"],
    "gnocchi": ["metric"],
    "aodh": ["alarm", "alarming"],
    "ceilometer": ["telemetry-collector"],
}
SECTION_WITH_TYPE = {
    "glance": "image", "neutron": "network", "cinder": "volume",
    "swift": "object-storage", "nova": "compute", "heat": "heat_plugin",
    "zun": "container_service", "barbican": "key_manager",
    "gnocchi": "metric", "aodh": "alarming_plugin",
}
DASHED = ["identity-feature-enabled", "image-feature-enabled",
          "network-feature-enabled", "volume-feature-enabled",
          "object-storage-feature-enabled", "compute-feature-enabled",
          "object-storage", "service-clients"]


def env(name, default=None):
    return os.environ.get(name) or default


def main(out, state):
    url = env("OS_AUTH_URL")
    if not url:
        sys.exit("OS_AUTH_URL is not set")
    base = url.rstrip("/")
    if not base.endswith("/v3"):
        base += "/v3"
    user = env("OS_USERNAME", "admin")
    password = env("OS_PASSWORD")
    project = env("OS_PROJECT_NAME", "admin")
    udom = env("OS_USER_DOMAIN_NAME", "Default")
    pdom = env("OS_PROJECT_DOMAIN_NAME", "Default")
    region = env("OS_REGION_NAME", "RegionOne")
    verify = env("OS_CACERT", True)
    if env("OS_INSECURE", "").lower() in ("1", "true", "yes"):
        verify = False
    sess = session.Session(
        auth=v3.Password(auth_url=base, username=user, password=password,
                         project_name=project, user_domain_name=udom,
                         project_domain_name=pdom), verify=verify)
    catalog = sess.auth.get_access(sess).service_catalog.catalog
    present = {}
    for entry in catalog:
        if any(e.get("region_id", e.get("region")) == region
               for e in entry["endpoints"]):
            present[entry["type"]] = entry

    only = env("CONFORMANCE_SERVICES")
    only = set(only.split(",")) if only else None

    c = configparser.RawConfigParser()
    c.optionxform = str

    def put(section, option, value):
        if not c.has_section(section) and section != "DEFAULT":
            c.add_section(section)
        c.set(section, option, str(value))

    put("DEFAULT", "log_file", "tempest.log")
    put("DEFAULT", "log_dir", os.path.join(state, "logs"))
    put("oslo_concurrency", "lock_path", os.path.join(state, "tempest_lock"))
    put("identity", "uri_v3", base)
    put("identity", "auth_version", "v3")
    put("identity", "region", region)
    if verify is False:
        put("identity", "disable_ssl_certificate_validation", "true")
    elif verify is not True:
        put("identity", "ca_certificates_file", verify)

    accounts = env("TEMPEST_ACCOUNTS_FILE")
    put("auth", "use_dynamic_credentials", "false" if accounts else "true")
    if accounts:
        put("auth", "test_accounts_file", os.path.abspath(accounts))
    put("auth", "default_credentials_domain_name", udom)
    put("auth", "admin_username", user)
    put("auth", "admin_password", password)
    put("auth", "admin_project_name", project)
    put("auth", "admin_user_domain_name", udom)
    put("auth", "admin_project_domain_name", pdom)
    put("auth", "admin_domain_name", udom)
    if env("TEMPEST_ROLES"):
        put("auth", "tempest_roles", env("TEMPEST_ROLES"))

    up = {}
    for key, types in TYPES.items():
        found = next((t for t in types if t in present), None)
        if only is not None and key not in only:
            found = None
        up[key] = found
        put("service_available", key, "true" if found else "false")
        if found and key in SECTION_WITH_TYPE:
            put(SECTION_WITH_TYPE[key], "catalog_type", found)
    put("service_available", "horizon", "false")
    put("service_available", "sg_core", "false")
    put("auth", "create_isolated_networks",
        "true" if up["neutron"] else "false")

    put("identity-feature-enabled", "trust", "true")
    put("identity-feature-enabled", "security_compliance", "false")
    put("identity-feature-enabled", "access_rules", "true")
    put("identity-feature-enabled", "enforce_scope", "true")
    for s in ("keystone", "glance", "neutron", "cinder", "nova", "placement",
              "barbican"):
        put("enforce_scope", s, "true")

    put("image", "container_formats", "bare,docker,ami,ari,aki,ovf,ova")
    put("image", "disk_formats", "raw,qcow2,iso,ami,ari,aki,vhd,vmdk,vdi,vhdx")
    put("volume", "backup_driver", "swift")
    put("volume", "storage_protocol", "NFS")
    put("volume", "vendor_name", "Open Source")
    put("volume", "min_microversion", "3.0")
    put("volume", "max_microversion", env("CINDER_MAX_MICROVERSION", "3.71"))
    put("object-storage-feature-enabled", "container_sync", "false")
    put("docker", "docker_remote_api_host", "localhost")
    put("compute", "min_microversion", "2.1")
    put("compute", "max_microversion", env("NOVA_MAX_MICROVERSION", "2.79"))
    put("validation", "run_validation", "false")
    if up["zun"]:
        # The gate of the plugin itself: the newest tests; 1.19 instead runs its legacy ones.
        put("container_service", "min_microversion", env("ZUN_MIN_MICROVERSION", "1.40"))
        put("container_service", "max_microversion", "1.40")
        put("container_service", "wait_timeout", "120")
    if up["barbican"]:
        put("key_manager", "region", region)
        put("key_manager", "min_microversion", "1.0")
        put("key_manager", "max_microversion", "1.1")
        put("barbican_tempest", "enable_multiple_secret_stores", "false")
    if up["heat"]:
        put("heat_plugin", "auth_url", base)
        put("heat_plugin", "auth_version", "3")
        put("heat_plugin", "region", region)
        for pre in ("", "admin_"):
            put("heat_plugin", pre + "username", env("HEAT_TEST_USERNAME", user) if not pre else user)
            put("heat_plugin", pre + "password", env("HEAT_TEST_PASSWORD", password) if not pre else password)
            put("heat_plugin", pre + "project_name", env("HEAT_TEST_PROJECT_NAME", project) if not pre else project)
        put("heat_plugin", "user_domain_name", udom)
        put("heat_plugin", "project_domain_name", pdom)
        put("heat_plugin", "user_domain_id", "default")
        put("heat_plugin", "project_domain_id", "default")
        put("heat_plugin", "hidden_stack_tag", "data-processing-cluster")

    def url_of(key):
        t = up[key]
        return sess.get_endpoint(service_type=t, interface="public",
                                 region_name=region).rstrip("/") if t else None

    def get(u):
        r = sess.get(u, raise_exc=False, headers={"Accept": "application/json"})
        return r.json() if r.status_code == 200 else {}

    if up["glance"]:
        u = url_of("glance")
        u = u if u.endswith("/v2") else u + "/v2"
        images = [i["id"] for i in
                  get(u + "/images?status=active&limit=50").get("images", [])
                  if i.get("container_format") == "bare"]
        if images:
            put("compute", "image_ref", env("TEMPEST_IMAGE_REF", images[0]))
            put("compute", "image_ref_alt",
                env("TEMPEST_IMAGE_REF_ALT", images[-1]))
            if up["heat"]:
                put("heat_plugin", "image_ref", images[0])
                put("heat_plugin", "minimal_image_ref", images[0])
    if up["nova"]:
        fl = get(url_of("nova") + "/flavors/detail").get("flavors", [])
        fl.sort(key=lambda f: (f["ram"], f["vcpus"], f["disk"]))
        if fl:
            put("compute", "flavor_ref", fl[0]["id"])
            put("compute", "flavor_ref_alt", fl[min(1, len(fl) - 1)]["id"])
            if up["heat"]:
                put("heat_plugin", "minimal_instance_type", fl[0]["name"])
                put("heat_plugin", "instance_type", fl[min(1, len(fl) - 1)]["name"])
    if up["neutron"]:
        u = url_of("neutron")
        u = u if u.endswith("/v2.0") else u + "/v2.0"
        ext = get(u + "/networks?router:external=True").get("networks", [])
        if ext:
            put("network", "public_network_id", ext[0]["id"])
            put("network", "floating_network_name", ext[0]["name"])
        aliases = [e["alias"] for e in get(u + "/extensions").get("extensions", [])]
        if aliases:
            put("network-feature-enabled", "api_extensions", ",".join(sorted(aliases)))

    for name, value in os.environ.items():
        if not name.startswith("TEMPEST_") or "__" not in name:
            continue
        section, option = name[len("TEMPEST_"):].lower().split("__", 1)
        section = next((d for d in DASHED if d.replace("-", "_") == section), section)
        put(section, option, value)

    with open(out, "w") as f:
        c.write(f)
    print("services: " + ", ".join(
        sorted(k for k, v in up.items() if v)) or "none", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], os.path.abspath(sys.argv[2]))
