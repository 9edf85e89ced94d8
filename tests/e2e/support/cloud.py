"""The cloud under test: the real program in a state directory and on a port of its own, started, stopped and killed."""
import contextlib
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess

import requests

from . import wait
from .accounts import Account, read_openrc

READY_SECONDS = 30
STOP_SECONDS = 15
# Tables that keep what has happened, so that nobody gets an old id or token again: they may grow while nothing is left over.
GROWING = {"identity_revocation", "image", "orchestration_stack", "orchestration_event", "sqlite_sequence", "sqlite_stat1"}


def program():
    """The binary to test, as tests/run.sh built it."""
    path = os.environ.get("SAHAB_PROGRAM")
    assert path and os.access(path, os.X_OK), "SAHAB_PROGRAM does not name the built program: start through tests/run.sh"
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cloud:
    """One `sahab up`."""

    def __init__(self, directory, arguments=(), environment=None):
        self.state = pathlib.Path(directory)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.address = "127.0.0.1"
        self.log_path = self.state.parent / (self.state.name + ".log")
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.process = None
        self.accounts = {}

    # ---- the process ----

    def command(self, *arguments, timeout=60):
        """Runs another subcommand of the program against this cloud's state directory."""
        return subprocess.run([program(), *arguments, "--state-dir", str(self.state)], capture_output=True, text=True,
                              timeout=timeout, env={**os.environ, **self.environment})

    def start(self):
        assert self.process is None or self.process.poll() is not None, "started twice"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [program(), "up", "--state-dir", str(self.state), "--listen", f"{self.address}:{self.port}", *self.arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        wait.until(self._ready, READY_SECONDS, 0.02, "the cloud's /healthcheck")
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the program ended with {self.process.returncode}:\n{self.log_tail()}")
        return requests.get(self.url + "/healthcheck", timeout=2).status_code == 200

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """SIGTERM; returns the exit status."""
        if not self.alive():
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"SIGTERM did not stop the program in {STOP_SECONDS} s:\n{self.log_tail()}") from None

    def kill(self):
        """SIGKILL: nothing of the program runs any more code."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def rows(self):
        """How many rows each table of the database has, as sets of one text each, comparable like a machine's snapshot."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/sahab.db?mode=ro", uri=True, timeout=10)) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            counts = {table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}
        return {"rows": {f"{count} in {table}" for table, count in counts.items() if table not in GROWING}}

    # ---- who uses it ----

    def account(self, name):
        """`admin` or `demo`, from the files that the first start wrote."""
        if name not in self.accounts:
            administrator = None if name == "admin" else self.account("admin")
            file = {"admin": "openrc", "demo": "demo-openrc"}[name]
            self.accounts[name] = Account(self.url, read_openrc(self.state / file), administrator)
        return self.accounts[name]
