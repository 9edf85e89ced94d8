"""Runs the measurements named on the command line against one cloud and prints the table (bench/run.sh starts this)."""
import datetime
import os
import pathlib
import platform
import sys
import traceback

import rows
from rows.common import Row
from support import host
from support.cloud import Cloud, program

# In this order, whatever order they are named in: starts on directories of their own before the cloud of the other rows
# stands, and last what fills its database.
ROWS = {
    "start": rows.start.measure,
    "container": rows.container.measure,
    "burst": rows.container.measure_burst,
    "stack": rows.stack.measure,
    "heat": rows.heat.measure,
    "throughput": rows.throughput.measure,
    "api": rows.api.measure,
}


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    docker = host.docker("version", "--format", "{{.Server.Version}}")
    version = host.run(program(), "--version").strip()
    return f"{os.cpu_count()} cores ({model}), {host.memory_gib()} GiB, kernel {platform.release()}, Docker {docker}, {version}"


def load():
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


class Lab:
    """The cloud that most rows share, started by the first of them."""

    def __init__(self, scratch):
        self.scratch, self.started = scratch, None

    def cloud(self):
        if self.started is None:
            self.started = Cloud(self.scratch / "cloud", environment={"SAHAB_LOG_LEVEL": rows.phases.LOG_LEVEL}).start()
        return self.started

    def close(self):
        if self.started is not None:
            self.started.stop()
            self.started.command("purge", "--yes")


def measure(names):
    """(rows, whether all could be measured)"""
    scratch = pathlib.Path(os.environ["SAHAB_SANDBOX"])
    lab, measured, whole = Lab(scratch), [], True
    try:
        for name in names:
            print(f"measuring {name} (load average {load()}) …", file=sys.stderr, flush=True)
            try:
                measured += ROWS[name](scratch if name == "start" else lab.cloud())
            except Exception:  # whatever it is, the other rows are still worth having
                traceback.print_exc()
                measured.append(Row(name, "could not be measured"))
                whole = False
    finally:
        lab.close()
    return measured, whole


def main(names):
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"no row {unknown}, there are: {' '.join(ROWS)}")
    date = datetime.datetime.now(datetime.UTC)
    before = load()
    measured, whole = measure([name for name in ROWS if not names or name in names])
    print("# Performance\n")
    print("Made by `make bench`; every row and its reference were measured in the same run, in turns. Times are medians with the 10th "
          "and 90th percentile in brackets.\n")
    print(f"{date:%Y-%m-%d %H:%M} UTC on {machine()}; load average {before} before, {load()} after.\n")
    print(Row.HEAD)
    for row in measured:
        print(row.line())
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
