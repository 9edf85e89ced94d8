"""The ways to give a container its interface that `sandbox_trial.py` compares, and what they need of the machine.

Every way ends in the same thing: a busybox that sleeps, whose `eth0` is plugged into a bridge in a namespace of ours and has an
address and a default route. The ways differ in who makes the container's network namespace, and when. Interfaces are made with
the `ip` command, which costs some 10 ms that a program with a netlink socket does not pay.
"""
import http.server
import json
import os
import pathlib
import signal
import socketserver
import subprocess
import threading
import time

from rows.common import Engine

IMAGE = "busybox:latest"
BRIDGE = "trial"  # the namespace of our bridge
BRIDGE_NETWORK, DRIVER_NETWORK = "trial-bridge", "trial-driver"
PLUGIN = pathlib.Path("/run/docker/plugins/trial.sock")
NAMESPACES = pathlib.Path("/run/trial-namespaces")
SCRIPTS = pathlib.Path("/run/trial-scripts")

# ---- runtimes: what Docker runs instead of runc, each changing the configuration of a container before it is created ----

RUNTIME = """#!/bin/sh
previous= bundle= verb=
for word in "$@"; do
  case $previous in --bundle | -b) bundle=$word ;; esac
  [ "$word" = create ] && verb=create
  previous=$word
done
if [ "$verb" = create ]; then
  sed -i 's#CHANGE#' "$bundle/config.json" && grep -q "MARK" "$bundle/config.json" || { echo "no network for $word" >&2; exit 1; }
fi
exec runc "$@"
"""
HOOK_CHANGE = f'"path":"[^"]*","args":\\["libnetwork-setkey"#"path":"{SCRIPTS}/PROGRAM","args":["libnetwork-setkey"'
RUNTIMES = {
    # Into the namespace that was made for it. For Docker it is in the host's, so without one of its own it must not start.
    "trial-enter": ('"path":"[^"]*/netns/default"#"path":"' + f"'\"$(readlink {NAMESPACES}/$word)\"'" + '"', "/run/netns/trial"),
    # Docker's hook runs the whole of dockerd to tell dockerd one line; a small program tells it as well …
    "trial-setkey": (HOOK_CHANGE.replace("PROGRAM", "setkey"), str(SCRIPTS / "setkey")),
    # … or tells us, and Docker's part of the network is left out.
    "trial-plug": (HOOK_CHANGE.replace("PROGRAM", "plug"), str(SCRIPTS / "plug")),
}
HOOK = """#!/usr/bin/perl
use Socket;
my ($controller, $container, @options) = reverse @ARGV;
my ($root) = map { /^-+exec-root=(.*)/ } @options;
$root ||= '/var/run/docker';
my ($pid) = join('', <STDIN>) =~ /"pid":\\s*(\\d+)/ or die "no pid";
socket(my $peer, AF_UNIX, SOCK_STREAM, 0) or die $!;
connect($peer, pack_sockaddr_un("SOCKET")) or die $!;
syswrite($peer, qq({"ContainerID":"$container","Key":"/proc/$pid/ns/net"})) or die $!;
sysread($peer, my $answer, 1024);
die "no answer\\n" unless $answer;
die "$answer\\n" unless $answer eq 'success';
"""
PROGRAMS = {
    "setkey": HOOK.replace("SOCKET", "$root/libnetwork/$controller.sock"),
    "plug": HOOK.replace("SOCKET", f"{SCRIPTS}/plug.sock"),
    **{name: RUNTIME.replace("CHANGE", change).replace("MARK", mark) for name, (change, mark) in RUNTIMES.items()},
}


# ---- the kernel ----

def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Numbers:
    """Names and addresses derive from a number that is given once."""
    lock, last = threading.Lock(), 10

    @classmethod
    def next(cls):
        with cls.lock:
            cls.last += 1
            return cls.last


def address(number):
    return f"10.99.{number // 250}.{number % 250 + 2}"


def mac(number):
    return f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}"


def pair(number, name, namespace):
    """NAMESPACE: a name, or the id of a process that is in it."""
    run("ip", "-n", BRIDGE, "link", "add", f"tap{number}", "up", "master", "br0", "type", "veth",
        "peer", "name", name, "address", mac(number), "netns", str(namespace))


def unpair(number):
    subprocess.run(["ip", "-n", BRIDGE, "link", "delete", f"tap{number}"], capture_output=True)


def plug(number, namespace, *entry):
    """What Docker would do. ENTRY: the words of nsenter that lead into NAMESPACE."""
    unpair(number)
    pair(number, "eth0", namespace)
    run("nsenter", *entry, "ip", "-batch", "-", text="link set lo up\nlink set eth0 up\n"
        f"address add {address(number)}/16 dev eth0\nroute add default via 10.99.0.1\n")


def reached(number):
    try:
        return "0% packet loss" in run("ip", "netns", "exec", BRIDGE, "ping", "-c", "1", "-W", "2", address(number))
    except RuntimeError:
        return False


# ---- the ways ----

class Way:
    """One way to start a container. MAKE is what is timed; its HOST is added to Docker's HostConfig."""
    name = short = "?"
    ours = True  # plugged into our bridge

    def __init__(self):
        self.engine = Engine()

    def ready(self, count):
        """What is done ahead for COUNT starts."""

    def create(self, number, host, **fields):
        body = {"Image": IMAGE, "Cmd": ["sleep", "100000"], "HostConfig": host, **fields}
        return self.engine.call("POST", f"/containers/create?name=trial-{number}", body)["Id"]

    def start(self, container):
        self.engine.call("POST", f"/containers/{container}/start")

    def inspect(self, container):
        return self.engine.call("GET", f"/containers/{container}/json")

    def remove(self, number):
        self.engine.call("DELETE", f"/containers/trial-{number}?force=1&v=1")
        unpair(number)


class Bridge(Way):
    name = "Docker's own bridge network (the reference)"
    ours = False

    def make(self, number, **host):
        self.start(self.create(number, {"NetworkMode": BRIDGE_NETWORK, **host}))


class Driver(Way):
    name, short = "remote network driver, null IPAM (as Sahab does)", "driver"

    def make(self, number, **host):
        endpoints = {"EndpointsConfig": {DRIVER_NETWORK: {"DriverOpts": {"trial.number": str(number)}}}}
        self.start(self.create(number, {"NetworkMode": DRIVER_NETWORK, **host}, NetworkingConfig=endpoints))


class Setkey(Driver):
    name, short = "… and Docker's hook replaced by a small program", "setkey"

    def make(self, number, **host):
        super().make(number, Runtime="trial-setkey", **host)


class After(Way):
    name, short = "`none`, plugged after the start", "after"

    def make(self, number, **host):
        container = self.create(number, {"NetworkMode": "none", **host})
        self.start(container)
        pid = self.inspect(container)["State"]["Pid"]
        plug(number, pid, "-t", str(pid), "-n")


class OnDemand(Way):
    name, short = "joins a sandbox made on demand", "on demand"

    def __init__(self):
        super().__init__()
        self.pool, self.holders = [], {}

    def sandbox(self, **host):
        number = Numbers.next()
        sandbox = self.create(number, {"NetworkMode": "none", **host})
        self.start(sandbox)
        return number, sandbox, self.inspect(sandbox)["State"]["Pid"]

    def make(self, number, **host):
        self.holders[number], sandbox, pid = self.pool.pop() if self.pool else self.sandbox(**host)
        plug(number, pid, "-t", str(pid), "-n")
        self.start(self.create(number, {"NetworkMode": f"container:{sandbox}", **host}))

    def remove(self, number):
        super().remove(number)
        super().remove(self.holders.pop(number))


class Ahead(OnDemand):
    name, short = "joins a sandbox started ahead", "sandbox"

    def ready(self, count):
        self.pool += [self.sandbox() for _ in range(count)]


class Enter(Way):
    name, short = "a runtime that enters a namespace of ours (`host` for Docker)", "enter"

    def make(self, number, **host):
        container = self.create(number, {"NetworkMode": "host", "Runtime": "trial-enter", **host}, Hostname="its-own")
        run("ip", "netns", "add", f"trial{number}")
        (NAMESPACES / container).symlink_to(f"/run/netns/trial{number}")
        plug(number, f"trial{number}", f"--net=/run/netns/trial{number}")
        self.start(container)

    def remove(self, number):
        super().remove(number)
        run("ip", "netns", "delete", f"trial{number}")


class Hook(Way):
    name, short = "`none`, plugged by a hook of ours before the process starts", "hook"
    numbers = {}

    def make(self, number, **host):
        container = self.create(number, {"NetworkMode": "none", "Runtime": "trial-plug", **host})
        self.numbers[container] = number
        self.start(container)


WAYS = [Bridge, Driver, Setkey, After, OnDemand, Ahead, Enter, Hook]


# ---- who answers Docker and the hook ----

class Answers:
    """What stands for Sahab."""
    away = False


class Plugin(http.server.BaseHTTPRequestHandler):
    """As little of Docker's remote network driver protocol as a start needs."""
    protocol_version = "HTTP/1.1"
    plugged = {}

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if Answers.away:
            self.close_connection = True
            return
        answer = json.dumps(self.answer(self.path, call)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, path, call):
        if path == "/Plugin.Activate":
            return {"Implements": ["NetworkDriver"]}
        if path == "/NetworkDriver.GetCapabilities":
            return {"Scope": "local", "ConnectivityScope": "global"}
        if path == "/NetworkDriver.CreateEndpoint":
            number = self.plugged[call["EndpointID"]] = int(call["Options"]["trial.number"])
            unpair(number)
            pair(number, f"t_c{number}", os.getpid())
            return {"Interface": {"Address": f"{address(number)}/16", "MacAddress": mac(number)}}
        if path == "/NetworkDriver.Join":
            source = f"t_c{self.plugged[call['EndpointID']]}"
            return {"InterfaceName": {"SrcName": source, "DstPrefix": "eth"}, "Gateway": "10.99.0.1", "DisableGatewayService": True}
        return {}

    def log_message(self, *_):
        """Nobody wants to read it."""

    def address_string(self):
        return "docker"


class Plugger(socketserver.BaseRequestHandler):
    """Answers our hook: the container has a namespace, and its process does not run yet."""

    def handle(self):
        call = json.loads(self.request.recv(4096))
        if Answers.away:
            return
        try:
            pid = call["Key"].split("/")[2]
            plug(Hook.numbers[call["ContainerID"]], pid, "-t", pid, "-n")
            self.request.sendall(b"success")
        except KeyError:
            self.request.sendall(b"unknown container")
        except RuntimeError as fault:
            self.request.sendall(str(fault).encode())


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class Dockerd:
    """The sandbox's daemon."""

    @staticmethod
    def pid():
        return int(pathlib.Path("/run/docker.pid").read_text())

    @staticmethod
    def lives(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    @classmethod
    def restart(cls):
        pid = cls.pid()
        os.kill(pid, signal.SIGTERM)
        while cls.lives(pid):
            time.sleep(0.05)
        scratch = os.environ["SAHAB_SANDBOX"]
        pathlib.Path("/run/docker.pid").unlink(missing_ok=True)
        with open(f"{scratch}/dockerd.log", "ab") as log:
            subprocess.Popen(["dockerd", "--data-root", f"{scratch}/docker"], stdout=log, stderr=log, start_new_session=True)
        while subprocess.run(["docker", "version"], capture_output=True).returncode:
            time.sleep(0.1)

    @classmethod
    def reload(cls):
        os.kill(cls.pid(), signal.SIGHUP)
        while not set(RUNTIMES) <= set(Engine().call("GET", "/info")["Runtimes"]):
            time.sleep(0.05)


def set_up():
    run("ip", "netns", "add", BRIDGE)
    run("ip", "-n", BRIDGE, "-batch", "-", text="link add br0 type bridge\nlink set br0 up\naddress add 10.99.0.1/16 dev br0\n")
    for folder in (NAMESPACES, SCRIPTS, PLUGIN.parent, pathlib.Path("/etc/docker")):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in PROGRAMS.items():
        (SCRIPTS / name).write_text(text)
        (SCRIPTS / name).chmod(0o755)
    runtimes = {name: {"path": str(SCRIPTS / name)} for name in RUNTIMES}
    pathlib.Path("/etc/docker/daemon.json").write_text(json.dumps({"runtimes": runtimes}))
    Dockerd.reload()
    for socket, handler in ((PLUGIN, Plugin), (SCRIPTS / "plug.sock", Plugger)):
        threading.Thread(target=UnixServer(str(socket), handler).serve_forever, daemon=True).start()
    engine = Engine()
    engine.call("POST", "/networks/create", {"Name": BRIDGE_NETWORK, "IPAM": {"Config": [{"Subnet": "172.31.0.0/22"}]}})
    engine.call("POST", "/networks/create", {"Name": DRIVER_NETWORK, "Driver": "trial", "IPAM": {"Driver": "null"}})
