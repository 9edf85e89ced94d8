"""Docker goes away and comes back: clear status meanwhile, everything in place afterwards. Only inside the sandbox."""
import os
import random
import signal
import subprocess
import time

import pytest

from support import host, wait
from support.load import remove_all, settle, working

pytestmark = pytest.mark.skipif(not os.environ.get("SAHAB_SANDBOX"), reason="restarts Docker: only in the sandbox's own")


class Dockerd:
    """The sandbox's daemon."""

    def pid(self):
        with open("/run/docker.pid") as pidfile:
            return int(pidfile.read())

    def stop(self, how=signal.SIGTERM):
        pid = self.pid()
        os.kill(pid, how)
        wait.until(lambda: self.ended(pid), 60, what="the end of dockerd")

    @staticmethod
    def ended(pid):
        """A killed child of this namespace's first process may stay as a zombie until that reaps it."""
        try:
            with open(f"/proc/{pid}/stat") as status:
                return status.read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def start(self):
        if os.path.exists("/run/docker.pid"):
            os.unlink("/run/docker.pid")
        scratch = os.environ["SAHAB_SANDBOX"]
        with open(f"{scratch}/dockerd.log", "ab") as log:
            subprocess.Popen(["dockerd", "--data-root", f"{scratch}/docker"], stdout=log, stderr=log, start_new_session=True)
        wait.until(lambda: subprocess.run(["docker", "version"], capture_output=True).returncode == 0, 60, what="Docker's answer")


@pytest.fixture
def dockerd():
    daemon = Dockerd()
    yield daemon
    if subprocess.run(["docker", "version"], capture_output=True).returncode != 0:
        daemon.start()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_docker_restarts_under_running_containers(dockerd, demo_containers, how):
    kept = demo_containers.run(restart_policy={"Name": "always"})
    dropped = demo_containers.run()
    dockerd.stop(how)
    answer = demo_containers.api.request("POST", f"/v1/containers/{kept['uuid']}/execute?command=true")
    assert 400 <= answer.status < 600 and answer.status != 500, answer.text
    demo_containers.api.request("GET", "/v1/containers").expect(200)
    dockerd.start()
    demo_containers.wait(kept["uuid"], "Running")
    assert wait.until(lambda: demo_containers.execute(kept["uuid"], "ip -4 address")[1], 30)
    # Docker stops what has no restart policy (a killed daemon leaves it running); either way the status is Docker's.
    state = host.inspect(dropped["uuid"])["State"]["Running"]
    shown = demo_containers.wait(dropped["uuid"], "Running" if state else "Stopped")
    if not state:
        demo_containers.action(shown["uuid"], "start")
        demo_containers.wait(shown["uuid"], "Running")
    one, two = demo_containers.show(kept["uuid"]), demo_containers.show(dropped["uuid"])
    wait.until(lambda: demo_containers.execute(one["uuid"], f"ping -c 1 -W 1 {demo_containers.address(two)}")[0] == 0, 30)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_docker_restarts_under_load(dockerd, cloud, admin, how):
    """While containers, networks and stacks are made and removed: what was interrupted ends in a state that is true."""
    account = admin.new_project()
    try:
        with working(account, random.Random(7)):
            time.sleep(3)
            dockerd.stop(how)
            time.sleep(3)
            account.container.request("GET", "/v1/containers").expect(200)
            dockerd.start()
            time.sleep(2)
        settle(account, "Docker is back")
        remove_all(account)
    finally:
        admin.drop_project(account)


def test_sahab_starts_before_docker(dockerd, cloud, admin, demo_containers):
    kept = demo_containers.run(restart_policy={"Name": "always"})
    cloud.stop()
    dockerd.stop()
    cloud.start()
    demo_containers.api.request("GET", "/v1/containers").expect(200)
    # Without an engine the host takes no work, and the service and the container say so.
    service = wait.until(lambda: next(row for row in admin.container.get("/v1/services")["services"] if row["state"] == "down"), 30)
    assert service["binary"] == "zun-compute"
    waiting = demo_containers.create()
    refused = demo_containers.wait(waiting["uuid"], "Error")
    assert refused["status_reason"], refused
    dockerd.start()
    demo_containers.wait(kept["uuid"], "Running")
    wait.until(lambda: all(row["state"] == "up" for row in admin.container.get("/v1/services")["services"]), 30)
    demo_containers.run()


def test_containers_live_through_a_restart_of_the_cloud(cloud, demo_containers):
    shown = demo_containers.run()
    started = host.inspect(shown["uuid"])["State"]["StartedAt"]
    cloud.restart()
    assert demo_containers.wait(shown["uuid"], "Running")["addresses"] == shown["addresses"]
    assert host.inspect(shown["uuid"])["State"]["StartedAt"] == started


def test_docker_restarts_without_the_cloud(dockerd, cloud, demo_containers):
    """What exists works on without the control plane: a container with a restart policy comes back before it does."""
    kept = demo_containers.run(restart_policy={"Name": "always"})
    cloud.stop()
    try:
        dockerd.stop()
        dockerd.start()
    finally:
        cloud.start()
    shown = demo_containers.wait(kept["uuid"], "Running")
    peer = demo_containers.run()
    wait.until(lambda: demo_containers.execute(peer["uuid"], f"ping -c 1 -W 1 {demo_containers.address(shown)}")[0] == 0, 30)
