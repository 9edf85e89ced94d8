"""Runs the measurements named on the command line against one cloud and prints the table (bench/run.sh starts this)."""
import os
import pathlib
import platform
import sys

import rows
from support.cloud import Cloud

ROWS = {
    "start": rows.start.measure,
    "container": rows.container.measure,
    "burst": rows.container.measure_burst,
    "stack": rows.stack.measure,
    "api": rows.api.measure,
    "heat": rows.heat.measure,
    "throughput": rows.throughput.measure,
}


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as info:
        memory = int(info.readline().split()[1]) // 1024 // 1024
    return f"{os.cpu_count()} × {model}, {memory} GiB, kernel {platform.release()}, Python {platform.python_version()}"


def main(names):
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"no row {unknown}, there are: {' '.join(ROWS)}")
    scratch = pathlib.Path(os.environ["SAHAB_SANDBOX"])
    measured = []
    # Starts are measured on directories of their own, before the cloud of the other rows stands.
    names = list(names or ROWS)
    if "start" in names:
        names.remove("start")
        measured += ROWS["start"](scratch)
    if names:
        cloud = Cloud(scratch / "cloud").start()
        try:
            for name in names:
                print(f"measuring {name} …", file=sys.stderr, flush=True)
                measured += ROWS[name](cloud)
        finally:
            cloud.stop()
            cloud.command("purge", "--yes")
    print("# Performance\n")
    print("Made by `make bench`; every row and its reference were measured in the same run. Times are medians with the 10th and "
          "90th percentile in brackets.\n")
    print(f"Machine: {machine()}; load average at the end {os.getloadavg()[0]:.1f}.\n")
    print("| what | ours | reference | ratio | aim |\n| --- | --- | --- | --- | --- |")
    for row in measured:
        print(row.line())


if __name__ == "__main__":
    main(sys.argv[1:])
