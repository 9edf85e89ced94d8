"""What the machine shows: Docker, namespaces, links, rules. Used to check that the cloud did what it says and left nothing."""
import json
import re
import socket
import subprocess


def run(*command, check=True, timeout=60, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **more)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def docker(*arguments, **more):
    return run("docker", *arguments, **more).strip()


def inspect(container_uuid):
    """Docker's inspect of the container that the container service runs under this id."""
    return json.loads(docker("inspect", f"zun-{container_uuid}"))[0]


def docker_has(container_uuid):
    return bool(docker("ps", "-aq", "--filter", f"name=zun-{container_uuid}"))


def snapshot():
    """Everything that could be left behind, as sets of lines by kind."""
    def lines(*command):
        return {line.strip() for line in run(*command, check=False).splitlines() if line.strip()}

    links = {re.sub(r"@.*", "", line.split(": ")[1]) for line in lines("ip", "-o", "link")}
    rules = {line for table in ("filter", "nat", "mangle", "raw")
             for line in (f"{table}: {rule}" for rule in lines("iptables", "-t", table, "-S"))}
    return {
        "containers": lines("docker", "ps", "-a", "--format", "{{.Names}}"),
        "Docker networks": lines("docker", "network", "ls", "--format", "{{.Name}} {{.Driver}}"),
        "Docker volumes": lines("docker", "volume", "ls", "--format", "{{.Name}}"),
        "namespaces": {line.split()[0] for line in lines("ip", "netns", "list")},
        "links": links,
        "routes": lines("ip", "route"),
        "nftables": lines("nft", "list", "tables"),
        "iptables": rules,
    }


def difference(before, now):
    """What NOW has more (+) or less (-) than BEFORE; empty when they agree."""
    found = []
    for kind, had in before.items():
        found += [f"+ {kind}: {name}" for name in sorted(now[kind] - had)]
        found += [f"- {kind}: {name}" for name in sorted(had - now[kind])]
    return found


def memory_gib():
    with open("/proc/meminfo") as info:
        return int(info.readline().split()[1]) // 1024 // 1024


def memory_of(process):
    """MiB that a process holds in memory."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def reachable(address, port=None, timeout=2):
    """From this machine: a TCP connection, or a ping when no port is given."""
    if port is None:
        family = "-6" if ":" in address else "-4"
        return subprocess.run(["ping", family, "-c", "1", "-W", str(timeout), address], capture_output=True).returncode == 0
    try:
        with socket.create_connection((address, port), timeout):
            return True
    except OSError:
        return False
