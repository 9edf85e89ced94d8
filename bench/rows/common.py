"""Samples, rows, and kept connections to what is measured: the cloud, and the raw Docker Engine API beside it."""
import dataclasses
import http.client
import json
import os
import socket
import urllib.parse

SAMPLES = int(os.environ.get("BENCH_SAMPLES", "20"))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values):
    return percentile(values, 0.5)


@dataclasses.dataclass
class Bound:
    """What a number is held against. MOST: it may be at most LIMIT, else it must be at least that."""
    limit: float
    unit: str = "×"
    most: bool = True
    must: bool = False

    def met(self, number):
        return number <= self.limit if self.most else number >= self.limit

    def __str__(self):
        return f"{'must' if self.must else 'aim'} {'≤' if self.most else '≥'} {self.limit:g} {self.unit}"


@dataclasses.dataclass
class Row:
    """One line of the table. OURS and REFERENCE are texts, RATIO is ours over the reference where both are one number.

    A bound is for the ratio, or for NUMBER where there is no reference.
    """
    what: str
    ours: str
    reference: str = "–"
    ratio: float | None = None
    number: float | None = None
    bound: Bound | None = None
    samples: int | None = None

    def line(self):
        judged = self.number if self.ratio is None else self.ratio
        met = "–" if self.bound is None else "yes" if self.bound.met(judged) else "**no**"
        ratio = "–" if self.ratio is None else f"{self.ratio:.2f}"
        cells = (self.what, self.ours, self.reference, ratio, self.bound or "–", met, self.samples or "–")
        return "| " + " | ".join(map(str, cells)) + " |"

    HEAD = "| what | ours | reference | ratio | must or aim | met | samples |\n| --- | --- | --- | --- | --- | --- | --- |"


def spread(seconds):
    """A median with its spread, in milliseconds below two seconds."""
    scale, unit = (1000, "ms") if median(seconds) < 2 else (1, "s")
    shown = ".0f" if unit == "ms" else ".2f"
    low, middle, high = (percentile(seconds, share) * scale for share in (0.1, 0.5, 0.9))
    return f"{middle:{shown}} [{low:{shown}}–{high:{shown}}] {unit}"


def against(what, ours, reference, bound=None):
    """A row of two lists of seconds."""
    return Row(what, spread(ours), spread(reference), median(ours) / median(reference), bound=bound, samples=len(ours))


def limited(what, seconds, bound):
    """A row of a list of seconds without a reference."""
    return Row(what, spread(seconds), number=median(seconds), bound=bound, samples=len(seconds))


class _Connection:
    """JSON over one kept connection: the client's own share of a measured time is then small, and the same on both sides."""

    def __init__(self, connection, headers=None):
        self.connection, self.headers = connection, headers or {}

    def call(self, method, path, body=None):
        data = json.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json", **self.headers} if data else self.headers
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text else None


class _UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


class Engine(_Connection):
    """The Docker Engine API."""

    def __init__(self):
        super().__init__(_UnixConnection("localhost"))


class Api(_Connection):
    """A service of the cloud, as support.accounts.Service but without its cost."""

    def __init__(self, service):
        token = service.account.token()
        address = urllib.parse.urlsplit(service.account.cloud_url).netloc
        super().__init__(http.client.HTTPConnection(address), {"X-Auth-Token": token, **service.default_headers})
        self.root = "/" + service.name

    def call(self, method, path, body=None):
        return super().call(method, self.root + path, body)
