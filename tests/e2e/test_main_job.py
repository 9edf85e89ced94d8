"""The main job: the thesis's application from its template and by hand, with the unmodified command."""
import ipaddress
import os
import pathlib
import subprocess

from support import host, wait, wordpress
from support.accounts import CLIENTS
from support.containers import remove

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "examples" / "wordpress.yaml"


def test_wordpress_from_its_template(demo):
    """Deployed, installed through its form, a post kept over a restart of both containers, deleted without a trace."""
    demo.openstack("stack", "create", "-t", TEMPLATE, "--wait", "wordpress")
    try:
        stack = demo.openstack("stack", "show", "-f", "json", "wordpress")
        assert stack["stack_status"] == "CREATE_COMPLETE"
        address = demo.openstack("stack", "output", "show", "-f", "value", "-c", "output_value", "wordpress", "url")
        url = f"http://{address}/"
        wordpress.wait_for_installer(url)
        wordpress.install(url, "Sahab end to end")
        post = wordpress.write_post(url, "First", "kept in the database")

        listed = demo.openstack("appcontainer", "list", "-f", "json")
        assert sorted(row["status"] for row in listed) == ["Running", "Running"]
        containers = [row["uuid"] for row in listed]
        demo.openstack("appcontainer", "restart", *containers)

        def running():
            rows = demo.container.get("/v1/containers")["containers"]
            return {row["status"] for row in rows} == {"Running"} and not any(row["task_state"] for row in rows)
        wait.until(running, 60, what="both containers running again")
        assert wait.until(lambda: wordpress.read_post(url, post), 60) == ("First", "kept in the database")
        wordpress.front_page(url, "Sahab end to end")
    finally:
        demo.command("stack", "delete", "--yes", "--wait", "wordpress")
    assert demo.container.get("/v1/containers")["containers"] == []
    assert not any(group["name"] == "sg_wordpress"
                   for group in demo.network.get("/v2.0/security-groups")["security_groups"])
    assert not host.reachable(address, 80)


def test_the_template_lands_on_the_external_network(demo, stacks_of):
    """demo owns no network, so a container without one gets an address of the oldest shared network, ext-net."""
    stacks = stacks_of(demo)
    name = stacks.deploy("""
        heat_template_version: rocky
        resources:
          one:
            type: OS::Zun::Container
            properties: {image: 'cirros:latest', command: 'sh -c "trap exit TERM; sleep 1000 & wait"'}
        outputs:
          by_name: {value: {get_attr: [one, addresses, ext-net, 0, addr]}}
          all: {value: {get_attr: [one, addresses]}}
        """)
    outputs = stacks.outputs(name)
    external = demo.network.get("/v2.0/networks?name=ext-net")["networks"][0]
    assert external["router:external"] and external["shared"]
    assert outputs["all"][external["id"]] == outputs["all"]["ext-net"]
    subnet = demo.network.get(f"/v2.0/subnets?network_id={external['id']}&ip_version=4")["subnets"][0]
    assert ipaddress.ip_address(outputs["by_name"]) in ipaddress.ip_network(subnet["cidr"])


def test_by_hand(cloud, demo):
    """examples/by-hand.sh as it is: page through a floating IP, port 3306 closed once its rule is gone."""
    done = subprocess.run([PROJECT / "examples" / "by-hand.sh"], capture_output=True, text=True, timeout=600,
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "PATH": f"{CLIENTS}:{os.environ['PATH']}", "SAHAB_STATE_DIR": str(cloud.state)})
    try:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert "is refused" in done.stderr
    finally:
        for row in demo.container.get("/v1/containers")["containers"]:
            remove(demo, row["uuid"])
