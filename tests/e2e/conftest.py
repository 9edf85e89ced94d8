"""Fixtures: one cloud for the whole run, its users, and the check that every file of tests leaves nothing behind.

Started by tests/run.sh inside tests/sandbox.sh: its own network, processes and Docker, with an outside world to talk to.
"""
import os
import pathlib
import time

import pytest

from support import host, wait
from support.cloud import Cloud
from support.containers import Containers
from support.networks import Networks
from support.outside import Outside
from support.stacks import Stacks

# The main job first: when it fails, little else matters. What kills and restarts the cloud comes last.
ORDER = ["test_images", "test_main_job", "test_identity", "test_image", "test_network", "test_container", "test_orchestration",
         "test_dataplane", "test_cycles", "test_security", "test_templates", "test_access", "test_bad_input", "test_flood",
         "test_docker_restart", "test_crash", "test_lifecycle", "test_two_clouds", "test_purge"]


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.stem
        return ORDER.index(name) if name in ORDER else len(ORDER)
    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    """A failure is shown when it happens, not at the end of a long run."""
    if report.failed:
        terminal = _configuration.pluginmanager.getplugin("terminalreporter")
        terminal.write_line("")
        terminal.write_line(f"----- {report.when} of {report.nodeid}", red=True)
        terminal.write_line(report.longreprtext[-3000:])


def pytest_sessionfinish():
    """… and so not again at the end."""
    _configuration.option.tbstyle = "no"


_configuration = None


def pytest_configure(config):
    global _configuration
    _configuration = config


def pytest_report_header():
    return f"program: {os.environ.get('SAHAB_PROGRAM', '(none)')}, sandbox: {os.environ.get('SAHAB_SANDBOX', '(none)')}"


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return pathlib.Path(os.environ.get("SAHAB_SANDBOX") or tmp_path_factory.mktemp("sahab"))


@pytest.fixture(scope="session")
def untouched():
    """The machine before any cloud was started on it."""
    return host.snapshot()


@pytest.fixture(scope="session")
def cloud(scratch, untouched):
    cloud = Cloud(scratch / "cloud")
    cloud.start()
    yield cloud
    cloud.stop()
    done = cloud.command("purge", "--yes")
    assert done.returncode == 0, done.stderr
    left = host.difference(untouched, host.snapshot())
    assert not left, "left after purge:\n" + "\n".join(left)


def seen(cloud):
    """What could be left behind: on the machine, and in the database."""
    return {**host.snapshot(), **cloud.rows()}


@pytest.fixture(scope="session")
def rested(cloud):
    """The machine and the database right after the first start: the example networks and nothing else."""
    # Each project gets its default security group when it first asks for one.
    for name in ("admin", "demo"):
        cloud.account(name).network.get("/v2.0/security-groups")

    def settled():
        first = seen(cloud)
        time.sleep(0.5)
        return first if seen(cloud) == first else None
    return wait.until(settled, 30, what="a machine at rest after the first start")


@pytest.fixture(scope="module", autouse=True)
def nothing_left(request):
    """After each file of tests the machine is as it was after the first start."""
    if request.module.__name__ in ("test_images", "test_purge"):
        yield
        return
    rested = request.getfixturevalue("rested")
    cloud = request.getfixturevalue("cloud")
    yield
    assert cloud.alive(), "the program ended during these tests:\n" + cloud.log_tail()
    left = None

    def clean():
        nonlocal left
        left = host.difference(rested, seen(cloud))
        return not left
    try:
        wait.until(clean, 30, 0.5)
    except AssertionError:
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(scope="module")
def scrap(cloud, rested, scratch):
    """A cloud to be abused and thrown away. The run's own cloud is stopped meanwhile and must find everything as it was."""
    cloud.stop()
    scrap = Cloud(scratch / "scrap", ["--set", "network.external_cidr=172.24.5.0/24", "--set", "network.lan_cidr=10.21.0.0/24"])
    try:
        yield scrap.start()
        scrap.stop()
        done = scrap.command("purge", "--yes")
        assert done.returncode == 0, done.stderr
    finally:
        if scrap.alive():
            scrap.kill()
        cloud.start()


@pytest.fixture(scope="session")
def admin(cloud):
    return cloud.account("admin")


@pytest.fixture(scope="session")
def demo(cloud):
    return cloud.account("demo")


@pytest.fixture
def new_tenant(admin):
    """Makes users with a project of their own; they go after everything that was made for them in the test."""
    made = []

    def make():
        made.append(admin.new_project())
        return made[-1]
    yield make
    for account in made:
        admin.drop_project(account)


@pytest.fixture
def tenant(new_tenant):
    """A user with a project of its own."""
    return new_tenant()


@pytest.fixture
def other(new_tenant):
    """A second such user."""
    return new_tenant()


def using(kind):
    def fixture():
        made = []

        def of(account):
            helper = kind(account)
            made.append(helper)
            return helper
        yield of
        for helper in reversed(made):
            helper.clean()
    return fixture


# Each gives a function of an account: containers(demo).run(...). Networks are removed after what stands on them.
@pytest.fixture(name="networks_of")
def networks_of(new_tenant):
    yield from using(Networks)()


@pytest.fixture(name="containers_of")
def containers_of(networks_of):
    yield from using(Containers)()


@pytest.fixture(name="stacks_of")
def stacks_of(networks_of):
    yield from using(Stacks)()


@pytest.fixture
def demo_containers(containers_of, demo):
    return containers_of(demo)


@pytest.fixture(scope="session")
def outside():
    server = Outside()
    yield server
    server.stop()
