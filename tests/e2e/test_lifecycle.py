"""The program itself: settings, doctor, stop and start, metrics, key rotation."""
import re
import subprocess

import requests

from support import host
from support.cloud import program
from support.host import run


def test_settings_are_shown_with_their_origin_and_secrets_masked(cloud, tmp_path):
    settings = cloud.command("config")
    assert settings.returncode == 0, settings.stderr
    assert "default" in settings.stdout
    password = cloud.account("admin").settings["OS_PASSWORD"]
    assert password not in settings.stdout + settings.stderr


def test_an_unknown_setting_names_file_line_and_nearest(tmp_path):
    listing = run(program(), "config")
    known = re.search(r"^\s*([a-z_.]*listen[a-z_]*)", listing, re.M)
    assert known, listing
    table, _, key = known.group(1).rpartition(".")
    settings = tmp_path / "sahab.toml"
    settings.write_text(f"# a comment\n\n[{table}]\n{key}x = 1\n" if table else f"# a comment\n\n\n{key}x = 1\n")
    done = subprocess.run([program(), "config", "--config", str(settings)], capture_output=True, text=True)
    assert done.returncode != 0
    assert str(settings) in done.stderr and "4" in done.stderr and key in done.stderr


def test_doctor_finds_this_machine_fit(cloud):
    done = cloud.command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "docker" in done.stdout.lower()


def test_metrics_and_request_ids(cloud, demo):
    metrics = requests.get(cloud.url + "/metrics", timeout=10)
    assert metrics.status_code == 200 and "# TYPE" in metrics.text
    for service, path in (("identity", "/v3"), ("network", "/v2.0/networks"), ("container", "/v1/containers")):
        answer = getattr(demo, service).request("GET", path)
        assert any(name.lower() == "x-openstack-request-id" and value.startswith("req-") for name, value in answer.headers.items())


def test_term_stops_it_and_a_second_start_finds_everything(cloud, demo_containers):
    shown = demo_containers.run()
    assert cloud.stop() == 0
    assert host.inspect(shown["uuid"])["State"]["Running"]
    cloud.start()
    assert demo_containers.wait(shown["uuid"], "Running")["uuid"] == shown["uuid"]


def test_a_second_program_on_the_same_state_is_refused(cloud):
    done = subprocess.run([program(), "up", "--state-dir", str(cloud.state), "--listen", "127.0.0.1:0"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode != 0 and str(cloud.state) in done.stderr + done.stdout
    assert cloud.alive()


def test_keys_rotate_without_ending_tokens(cloud, demo):
    old = demo.token()
    assert cloud.command("fernet-rotate").returncode == 0
    demo.network.request("GET", "/v2.0/networks", token=old).expect(200)
    demo.forget_token()
    demo.network.request("GET", "/v2.0/networks").expect(200)
