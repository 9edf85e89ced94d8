"""Samples, rows and the raw Docker Engine API, which is the reference of most rows."""
import dataclasses
import http.client
import json
import os
import socket

SAMPLES = int(os.environ.get("BENCH_SAMPLES", "20"))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values):
    return percentile(values, 0.5)


@dataclasses.dataclass
class Row:
    """One line of the table. OURS and REFERENCE are texts; RATIO is ours over the reference where both are one number."""
    what: str
    ours: str
    reference: str = "–"
    ratio: float | None = None
    aim: str = "–"

    def line(self):
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "–"
        return f"| {self.what} | {self.ours} | {self.reference} | {ratio} | {self.aim} |"


def spread(seconds):
    """A median with its spread, in milliseconds below two seconds."""
    scale, unit = (1000, "ms") if median(seconds) < 2 else (1, "s")
    shown = ".0f" if unit == "ms" else ".2f"
    low, middle, high = (percentile(seconds, share) * scale for share in (0.1, 0.5, 0.9))
    return f"{middle:{shown}} [{low:{shown}}–{high:{shown}}] {unit}"


def against(what, ours, reference, aim):
    """A row of two lists of seconds."""
    return Row(what, spread(ours), spread(reference), median(ours) / median(reference), aim)


class _UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


class Engine:
    """The Docker Engine API over its socket, one kept connection."""

    def __init__(self):
        self.connection = _UnixConnection("localhost")

    def call(self, method, path, body=None):
        data = json.dumps(body) if body is not None else None
        self.connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text else None
