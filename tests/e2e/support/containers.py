"""Containers through the API: made, waited for, asked, removed."""
import urllib.parse

from . import wait
from .accounts import unique

# The first process of a container ignores SIGTERM unless it asks for it: with the trap a stop takes no ten seconds.
SLEEP_TEXT = 'sh -c "trap exit TERM; sleep 100000 & wait"'
SLEEP = ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]


class Failed(AssertionError):
    """The container went to Error; carries the reason that the service gives."""


class Containers:
    """The container service for one user, with removal of everything made through it."""

    def __init__(self, account):
        self.account = account
        self.made = []

    @property
    def api(self):
        return self.account.container

    def create(self, image="cirros:latest", run=True, **fields):
        body = {"name": unique("c"), "image": image, **fields}
        if image.startswith(("cirros", "busybox", "alpine")):
            body.setdefault("command", SLEEP)
        query = "?run=true" if run else ""
        container = self.api.post(f"/v1/containers{query}", body, expect=(202,))
        self.made.append(container["uuid"])
        return container

    def run(self, image="cirros:latest", **fields):
        """Creates, waits until it runs, returns the container as shown then."""
        return self.wait(self.create(image, **fields)["uuid"], "Running", starts=True)

    def show(self, uuid):
        return self.api.get(f"/v1/containers/{uuid}")

    def wait(self, uuid, *statuses, timeout=90, starts=False):
        """Until the container rests in one of the statuses. STARTS: it was just made, so an end is one too soon."""
        def there():
            shown = self.show(uuid)
            if shown["status"] == "Error" and "Error" not in statuses:
                raise Failed(f"container {uuid}: {shown['status_reason']}")
            if shown["status"] == "Stopped" and statuses == ("Running",) and not shown.get("task_state") and starts:
                raise Failed(f"container {uuid} has ended: {shown['status_detail']}")
            return shown if shown["status"] in statuses and not shown.get("task_state") else None
        try:
            return wait.until(there, timeout, 0.1, f"status {statuses} of container {uuid}")
        except Failed as failed:
            raise AssertionError(str(failed)) from None

    def action(self, uuid, name, query="", expect=(200, 202, 204)):
        return self.api.post(f"/v1/containers/{uuid}/{name}{query}", expect=expect)

    def execute(self, uuid, command):
        """(exit code, output) of a command inside."""
        query = urllib.parse.urlencode({"command": command if isinstance(command, str) else " ".join(command)})
        done = self.api.post(f"/v1/containers/{uuid}/execute?{query}")
        return done["exit_code"], done["output"] or ""

    def shell(self, uuid, script):
        """The same for a line of shell."""
        return self.execute(uuid, f"sh -c '{script}'")

    def address(self, container, version=4):
        """The first address of that family."""
        return next(entry["addr"] for entries in container["addresses"].values() for entry in entries
                    if entry["version"] == version)

    def port(self, container):
        return next(entry["port"] for entries in container["addresses"].values() for entry in entries)

    def gone(self, uuid, timeout=60):
        wait.until(lambda: self.api.request("GET", f"/v1/containers/{uuid}").status == 404, timeout, 0.1,
                   f"removal of container {uuid}")
        if uuid in self.made:
            self.made.remove(uuid)

    def delete(self, uuid, query="?stop=true"):
        self.api.delete(f"/v1/containers/{uuid}{query}", expect=(202, 204))
        self.gone(uuid)

    def clean(self):
        """Removes what is left of what was made here, whatever state it is in."""
        for uuid in list(self.made):
            wait.until(lambda uuid=uuid: remove(self.account, uuid), 60, 0.5, f"acceptance of the deletion of {uuid}")
        for uuid in list(self.made):
            self.gone(uuid)


def remove(account, uuid):
    """Asks once for a container to be gone, by the administrator's right to do so in any state; whether that was accepted.

    A paused container is the one thing that cannot be removed by force: it is woken first.
    """
    answer = account.administrator.container.request("DELETE", f"/v1/containers/{uuid}?force=true&all_projects=true")
    if answer.status == 409:
        account.container.request("POST", f"/v1/containers/{uuid}/unpause")
    return answer.status in (202, 204, 404)
