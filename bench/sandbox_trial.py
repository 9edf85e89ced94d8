"""What it costs to give a container its interface in this way or that: a trial on Docker alone, without Sahab.

    PYTHONPATH=tests/e2e tests/sandbox.sh -i busybox python3 bench/sandbox_trial.py [PART...]

PART is any of `starts` (one container after the other), `burst` (twenty at once), `memory` (of a sandbox that waits), `probes`
(what the engine refuses or loses) and `restarts` (dockerd ends and comes back); all of them when none is named. BENCH_SAMPLES
says how many starts each way is given (20). It restarts dockerd and changes its settings: only inside the tests' sandbox.
The ways are in sandbox_ways.py; what was found is in docs/sandboxes.md.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time

from rows.common import SAMPLES, Engine, median, spread
from sandbox_ways import BRIDGE_NETWORK, WAYS, Ahead, Answers, Bridge, Dockerd, Driver, Enter, Hook, Numbers, OnDemand, reached, run, set_up

BURST = 20
SETTLE = 8  # seconds until everybody who comes back after a restart of dockerd is back


def table(title, head, lines):
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(' '.join(str(cell).split())[:240] for cell in line)} |")
    sys.stdout.flush()


def against_bridge(title, times):
    reference = median(times[Bridge])
    table(title, ["way", "time", "ratio"], [(way.name, spread(times[way]), f"{median(times[way]) / reference:.2f}") for way in WAYS])


def clean():
    subprocess.run("docker rm -f -v $(docker ps -aq)", shell=True, check=True, capture_output=True)


def starts():
    ways, times = [way() for way in WAYS], {way: [] for way in WAYS}
    for turn in range(SAMPLES + 2):
        for way in ways:  # in turns: what else the machine does meets all alike
            way.ready(1)
            number = Numbers.next()
            begun = time.monotonic()
            way.make(number)
            seconds = time.monotonic() - begun
            if turn >= 2:  # the first ones warm the caches
                times[type(way)].append(seconds)
            elif way.ours and not reached(number):
                sys.exit(f"{way.name}: no network, so its time means nothing")
            way.remove(number)
    against_bridge(f"One container, create → running; {SAMPLES} of each, in turns; median [p10–p90]", times)


def burst():
    rounds = max(1, SAMPLES // 7)
    times = {way: [] for way in WAYS}
    for _ in range(rounds):
        for kind in WAYS:
            ways = [kind() for _ in range(BURST)]  # each with a connection of its own
            for way in ways:
                way.ready(1)
            numbers = [Numbers.next() for _ in ways]
            begun = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(BURST) as threads:
                list(threads.map(lambda way, number: way.make(number), ways, numbers))
            times[kind].append(time.monotonic() - begun)
            for way, number in zip(ways, numbers):
                way.remove(number)
    against_bridge(f"{BURST} containers at once, until the last runs; {rounds} rounds", times)


def available():
    with open("/proc/meminfo") as info:
        return next(int(line.split()[1]) for line in info if line.startswith("MemAvailable")) / 1024


def own_memory(container):
    """MiB that a container's processes and its shim have for themselves, their part of what is shared included."""
    kib = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if container in (process / "cgroup").read_text() or container in (process / "cmdline").read_text():
                rollup = (process / "smaps_rollup").read_text().splitlines()
                kib += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
    return kib / 1024


def memory():
    way = Ahead()
    way.ready(2)
    time.sleep(3)
    before, begun = available(), time.monotonic()
    way.ready(BURST)
    seconds = time.monotonic() - begun
    time.sleep(3)
    own = median([own_memory(sandbox) for _, sandbox, _ in way.pool])
    # What is available says something only while nothing else happens on the machine; the processes' own holds always.
    print(f"\nA sandbox that waits: {own:.1f} MiB of its processes' own (PSS), {(before - available()) / BURST:.1f} MiB less available; "
          f"made in {seconds / BURST * 1000:.0f} ms (n = {BURST}).", flush=True)
    clean()


# ---- what the engine says ----

MESSAGE, MESSAGE_END = """b'{"message":\"""", """"}\\n'"""


def asked(function, *arguments):
    """The engine's refusal, or what it answered."""
    try:
        return function(*arguments) or "accepted"
    except RuntimeError as refused:
        status, _, text = str(refused).partition(": ")[2].partition(" ")
        return f"{status} {text.removeprefix(MESSAGE).removesuffix(MESSAGE_END)}"


def within(container, command):
    done = subprocess.run(["docker", "exec", container, "sh", "-c", command], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().replace("\n", "; ")


INSIDE = {
    "/etc/hosts": "cat /etc/hosts",
    "/etc/resolv.conf": "grep -v '^#' /etc/resolv.conf",
    "interfaces": "ip -o link | cut -d: -f2 | tr -d '\\n'",
    "first unprivileged port": "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    "IPv6 disabled": "cat /proc/sys/net/ipv6/conf/all/disable_ipv6",
}
OPTIONS = {
    "a hostname": ({"Hostname": "web"}, {}),
    "DNS servers": ({}, {"Dns": ["10.0.0.2"]}),
    "extra hosts": ({}, {"ExtraHosts": ["a:10.0.0.3"]}),
    "exposed ports": ({"ExposedPorts": {"80/tcp": {}}}, {}),
    "a network sysctl": ({}, {"Sysctls": {"net.ipv4.ip_forward": "0"}}),
}


def probe(way, host):
    """Question to answer, about a container of this way; HOST is its place for Docker."""
    found, number = {}, Numbers.next()
    for what, (fields, more) in OPTIONS.items():
        found[f"create with {what}"] = asked(lambda: way.create(Numbers.next(), {**host, **more}, **fields) and "accepted")
    way.make(number)
    name = f"trial-{number}"
    shown = way.inspect(name)
    hostname = within(name, "hostname")
    found["hostname"] = f"{hostname} {'(the short id)' if shown['Id'].startswith(hostname) else ''}"
    found |= {what: within(name, command) for what, command in INSIDE.items()}
    networks = shown["NetworkSettings"]["Networks"]
    found["address in inspect"] = next(iter(networks.values()))["IPAddress"] or "none" if networks else "none"
    sample = way.engine.call("GET", f"/containers/{name}/stats?stream=false")
    found["interfaces in stats"] = ", ".join(sample.get("networks") or {}) or "none"
    found["network connect"] = asked(way.engine.call, "POST", f"/networks/{BRIDGE_NETWORK}/connect", {"Container": name})
    way.engine.call("POST", f"/containers/{name}/restart?t=0")
    found["reached after a restart of the container"] = "yes" if reached(number) else "no"
    if type(way) is Ahead:
        holder = f"trial-{way.holders[number]}"
        way.engine.call("POST", f"/containers/{holder}/kill")
        found["sandbox killed"] = within(name, "echo the container runs on")
        found["… then a restart"] = asked(way.engine.call, "POST", f"/containers/{name}/restart?t=0")
        way.start(holder)
        way.start(name)
        found["… sandbox and container started again: interfaces"] = within(name, INSIDE["interfaces"])
    elif type(way) is not Driver:
        found["start of one that we do not know"] = asked(way.start, way.create(Numbers.next(), host))
    return found


def probes():
    ahead = Ahead()
    ahead.ready(1)
    subjects = [
        (Driver(), {"NetworkMode": "none"}),
        (ahead, {"NetworkMode": f"container:{ahead.pool[0][1]}"}),
        (Enter(), {"NetworkMode": "host", "Runtime": "trial-enter"}),
        (Hook(), {"NetworkMode": "none", "Runtime": "trial-plug"}),
    ]
    found = [probe(way, host) for way, host in subjects]
    questions = list(dict.fromkeys(question for answers in found for question in answers))
    table("What the engine says and does", ["question", *(way.short for way, _ in subjects)],
          [(question, *(answers.get(question, "–") for answers in found)) for question in questions])
    clean()


def restarts():
    """Once nobody answers Docker or the hook, as when Sahab is not there, and once somebody does."""
    policy, lines = {"RestartPolicy": {"Name": "always"}}, {}
    for away in (True, False):
        subjects = [(way(), Numbers.next()) for way in (Driver, OnDemand, Enter, Hook)]
        for way, number in subjects:
            way.make(number, **policy)
        Answers.away = away
        Dockerd.restart()
        time.sleep(SETTLE)
        Answers.away = False
        for way, number in subjects:
            way.engine = Engine()
            state = way.inspect(f"trial-{number}")["State"]
            line = lines.setdefault(way.name, [])
            line.append(f"{state['Status']}, {'reached' if reached(number) else 'not reached'} {state['Error']}")
        clean()
    table(f"Policy `always`, {SETTLE} s after a restart of dockerd", ["way", "nobody answers", "the driver and the hook answer"],
          [(way, *states) for way, states in lines.items()])


PARTS = {"starts": starts, "burst": burst, "memory": memory, "probes": probes, "restarts": restarts}


def main(names):
    unknown = [name for name in names if name not in PARTS]
    if unknown or "SAHAB_SANDBOX" not in os.environ:
        sys.exit(__doc__)
    set_up()
    version = Engine().call("GET", "/version")["Version"]
    print(f"Docker {version}, {run('runc', '--version').splitlines()[0]}, kernel {os.uname().release}, {os.cpu_count()} cores")
    for name in names or PARTS:
        PARTS[name]()
    print(f"\nLoad averages at the end: {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main(sys.argv[1:])
