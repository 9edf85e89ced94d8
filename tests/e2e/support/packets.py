"""Packets made by hand inside a container's network namespace, with rights that no container has: the attacker's side.

Each function runs this very file there, so that nothing but Python is needed inside.
"""
import socket
import struct
import subprocess
import sys

ETHERTYPE_IP = 0x0800
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


def neighbour_claim(claimed, victim, victim_mac):
    """The same for IPv6: an unasked neighbour advertisement that overrides what the victim knows."""
    sock = raw(ETHERTYPE_IPV6)
    mine = interface_mac(sock)
    source, target = (socket.inet_pton(socket.AF_INET6, address) for address in (claimed, victim))
    body = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + source + struct.pack("!BB6s", 2, 1, mine)
    body = with_checksum(source, target, 58, body, 2)
    frame = mac_bytes(victim_mac) + mine + struct.pack("!H", ETHERTYPE_IPV6) + header6(source, target, 58, body, 255) + body
    for _ in range(5):
        sock.send(frame)


def datagram(source, source_mac, target, target_mac, port, text):
    """A UDP datagram in a frame, both with whatever source is said; an empty MAC is the interface's own."""
    is_v6 = ":" in target
    sock = raw(ETHERTYPE_IPV6 if is_v6 else ETHERTYPE_IP)
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    source, target = (socket.inet_pton(family, address) for address in (source, target))
    body = struct.pack("!HHHH", 5000, int(port), 8 + len(text), 0) + text.encode()
    body = with_checksum(source, target, 17, body, 6)
    if is_v6:
        packet = header6(source, target, 17, body, 64) + body
    else:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, source, target)
        packet = header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body
    frame = mac_bytes(target_mac) + (mac_bytes(source_mac) if source_mac else interface_mac(sock))
    sock.send(frame + struct.pack("!H", ETHERTYPE_IPV6 if is_v6 else ETHERTYPE_IP) + packet)


def header6(source, target, protocol, body, hops):
    return struct.pack("!IHBB16s16s", 6 << 28, len(body), protocol, hops, source, target)


def with_checksum(source, target, protocol, body, at):
    """The body of a transport protocol with the checksum over it and the addresses put in."""
    total = checksum(source + target + struct.pack("!II", len(body), protocol) + body)
    return body[:at] + struct.pack("!H", total) + body[at + 2:]


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
    {"arp": arp_claim, "advertise": router_advertisement, "neighbour": neighbour_claim, "datagram": datagram, "send": send, "listen": wait_for_datagram}[sys.argv[1]](*sys.argv[2:])
