"""Two clouds on one machine and one Docker, one after the other: each leaves alone what the other has."""
import pytest

from support import host
from support.cloud import Cloud
from support.containers import Containers


@pytest.fixture
def second(cloud, scratch):
    """Another cloud with its own state and address ranges; purged in the end."""
    second = Cloud(scratch / "second", ["--set", "network.external_cidr=172.24.6.0/24", "--set", "network.lan_cidr=10.22.0.0/24"])
    yield second
    cloud.stop()
    second.stop()
    done = second.command("purge", "--yes")
    cloud.start()
    assert done.returncode == 0, done.stderr


def reaches(one, other, containers):
    """Asked of Docker, since the cloud may be away."""
    return host.docker("exec", f"zun-{one['uuid']}", "ping", "-c", "1", "-W", "3", containers.address(other))


def test_another_cloud_on_the_same_docker_takes_nothing_away(cloud, demo_containers, second):
    mine = [demo_containers.run(), demo_containers.run()]
    before = host.snapshot()
    cloud.stop()
    second.start()
    theirs = Containers(second.account("demo"))
    their = theirs.run()
    second.restart()
    assert theirs.wait(their["uuid"], "Running")
    # It has looked at everything that is here, twice, and ours works on without us.
    assert all(host.docker_has(one["uuid"]) for one in mine)
    assert reaches(*mine, demo_containers)
    second.stop()
    cloud.start()
    assert all(demo_containers.wait(one["uuid"], "Running") for one in mine)
    assert host.docker_has(their["uuid"]), "we have taken theirs for a leftover"
    # A purge takes away what is theirs and nothing else.
    cloud.stop()
    assert second.command("purge", "--yes").returncode == 0
    assert host.difference(before, host.snapshot()) == []
    assert reaches(*mine, demo_containers)
    cloud.start()
    demo_containers.wait(mine[0]["uuid"], "Running")
    assert demo_containers.execute(mine[0]["uuid"], f"ping -c 1 -W 3 {demo_containers.address(mine[1])}")[0] == 0
