"""Start to first token, idle memory, size of the program."""
import os
import subprocess
import time

from support.accounts import Account, read_openrc
from support.cloud import Cloud, program

from .common import Bound, Row, limited

STARTS = 5
IDLE_SECONDS = 10


def first_token(cloud):
    """Seconds from exec to the first token that is given out by password."""
    begun = time.monotonic()
    with open(cloud.log_path, "ab") as log:
        cloud.process = subprocess.Popen([program(), "up", "--state-dir", str(cloud.state), "--listen", f"127.0.0.1:{cloud.port}"],
                                         stdout=log, stderr=subprocess.STDOUT)
    while True:
        try:
            account = Account(cloud.url, read_openrc(cloud.state / "openrc"))
            if account.login().status == 201:
                return time.monotonic() - begun
        except (OSError, KeyError, subprocess.CalledProcessError, ValueError):
            pass
        if cloud.process.poll() is not None:
            raise RuntimeError(cloud.log_tail())
        time.sleep(0.005)


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def measure(scratch):
    first, later, memory = [], [], None
    for number in range(STARTS):
        cloud = Cloud(scratch / f"start{number}")
        try:
            first.append(first_token(cloud))
            cloud.stop()
            later.append(first_token(cloud))
            if number == STARTS - 1:
                time.sleep(IDLE_SECONDS)
                memory = resident(cloud.process.pid)
        finally:
            cloud.stop()
            cloud.command("purge", "--yes")
    size = os.path.getsize(program()) / 1e6
    return [limited("first start on an empty directory to the first token", first, Bound(2, "s")),
            limited("later start to the first token", later, Bound(1, "s")),
            Row("idle memory, resident", f"{memory:.0f} MiB", number=memory, bound=Bound(80, "MiB"), samples=1),
            Row("size of the program", f"{size:.1f} MB")]
