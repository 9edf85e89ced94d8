"""The end of a cloud: purge leaves nothing, and may be run again. Last: it ends the run's cloud."""
import os

from support import host
from support.cloud import Cloud


def test_nothing_is_left_after_purge_and_a_bare_start_makes_no_networks(cloud, untouched, scratch):
    cloud.stop()
    assert cloud.command("purge", "--yes").returncode == 0
    assert host.difference(untouched, host.snapshot()) == []
    assert not cloud.state.exists() or not os.listdir(cloud.state)
    bare = Cloud(scratch / "bare", ["--bare"]).start()
    try:
        admin = bare.account("admin")
        assert admin.network.get("/v2.0/networks")["networks"] == []
        assert "demo" in {row["name"] for row in admin.identity.get("/v3/projects")["projects"]}
    finally:
        bare.stop()
        assert bare.command("purge", "--yes").returncode == 0
    assert host.difference(untouched, host.snapshot()) == []
