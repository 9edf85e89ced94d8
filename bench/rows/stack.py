"""The WordPress stack from its template to a page, against the same two containers started with the docker command."""
import pathlib
import subprocess
import time

from support import wordpress
from support.stacks import Stacks

from .common import SAMPLES, Api, Bound, against

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "wordpress.yaml"
TIMES = max(1, SAMPLES // 4)
POLL_SECONDS = 0.05


def page(url):
    """Until the installer's page answers 200."""
    while True:
        try:
            if wordpress.fetch(url, timeout=10)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(POLL_SECONDS)


def ours(stacks, api):
    begun = time.monotonic()
    name = stacks.create(TEMPLATE.read_text())
    path = f"{stacks.root}/{name}/{stacks.made[name]}"
    while (stack := api.call("GET", path)["stack"])["stack_status"] == "CREATE_IN_PROGRESS":
        time.sleep(POLL_SECONDS)
    if stack["stack_status"] != "CREATE_COMPLETE":
        raise RuntimeError(stack["stack_status_reason"])
    page(f"http://{stacks.outputs(name)['url']}/")
    seconds = time.monotonic() - begun
    stacks.delete(name)
    return seconds


def docker(*arguments):
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def reference():
    begun = time.monotonic()
    docker("network", "create", "bench-wp")
    docker("run", "-d", "--name", "bench-db", "--network", "bench-wp", "-e", "MYSQL_ROOT_PASSWORD=rootpass",
           "-e", "MYSQL_DATABASE=wordpress", "mysql:5.7")
    docker("run", "-d", "--name", "bench-wp", "--network", "bench-wp", "-e", "WORDPRESS_DB_HOST=bench-db",
           "-e", "WORDPRESS_DB_USER=root", "-e", "WORDPRESS_DB_PASSWORD=rootpass", "wordpress:latest")
    page("http://" + docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "bench-wp") + "/")
    seconds = time.monotonic() - begun
    docker("rm", "-f", "-v", "bench-db", "bench-wp")
    docker("network", "rm", "bench-wp")
    return seconds


def measure(cloud):
    stacks = Stacks(cloud.account("demo"))
    api = Api(stacks.account.orchestration)
    mine, theirs = zip(*((ours(stacks, api), reference()) for _ in range(TIMES)))
    return [against("WordPress from its template to HTTP 200 (reference: docker command)", mine, theirs, Bound(1.2))]
