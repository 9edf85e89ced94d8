"""Load that must hurt nobody else: logins, idle connections, bodies and heads that never end."""
import concurrent.futures
import contextlib
import resource
import socket
import threading

import pytest

from support import host
from support.accounts import unique
from support.endpoints import Wire

LOGINS = 32
CONNECTIONS = 10_000
# A connection costs its buffers and a task; what it does not cost is a thread or a request's memory.
KIB_A_CONNECTION = 24


@pytest.fixture(scope="module")
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + 1000:
        pytest.skip(f"this machine allows a process {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_flood_of_logins_holds_up_nobody(scrap):
    """More wrong passwords at once than there are processors to hash them: all others are answered before the flood is through."""
    account = scrap.account("admin").new_project()
    account.token()

    def login(number):
        return account.login(OS_USERNAME=account.settings["OS_USERNAME"] if number % 2 else unique("nobody"), OS_PASSWORD=unique("wrong")).status
    with concurrent.futures.ThreadPoolExecutor(LOGINS) as pool:
        flood = [pool.submit(login, number) for number in range(LOGINS)]
        concurrent.futures.wait(flood, return_when=concurrent.futures.FIRST_COMPLETED)
        for _ in range(10):
            made = account.network.post("/v2.0/networks", {"network": {"name": unique("n")}})["network"]
            for path in ("/v2.0/networks", f"/v2.0/networks/{made['id']}", "/v2.0/ports"):
                account.network.get(path)
            account.container.get("/v1/containers")
            account.identity.get("/v3/auth/projects")
            account.network.delete(f"/v2.0/networks/{made['id']}")
        assert sum(not one.done() for one in flood) > LOGINS // 4, "the others were only answered when the flood was over"
        statuses = {one.result() for one in flood}
    assert statuses <= {401, 429, 503}, statuses
    account.forget_token()
    account.login().expect(201)


def held(scrap, token, number):
    """A connection that is opened and left: idle, in the middle of a head, or of a body that was allowed in."""
    connection = socket.create_connection(("127.0.0.1", scrap.port))
    if number % 3 == 1:
        connection.sendall(b"GET /network/v2.0/networks HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    elif number % 3 == 2:
        connection.sendall(b"POST /network/v2.0/networks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Auth-Token: " + token.encode()
                           + b"\r\nContent-Length: 100000\r\n\r\n{")
    return connection


def test_idle_connections_slow_heads_and_slow_bodies(scrap, many_descriptors):
    """Ten thousand of them: others are served meanwhile, each costs little, and what is let go is free again."""
    account = scrap.account("admin").new_project()
    token = account.token()
    before = host.memory_of(scrap.process)
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(held(scrap, token, number)) for number in range(CONNECTIONS)]
        for round_number in range(3):
            for line in lines[round_number::700]:
                with contextlib.suppress(OSError):
                    line.sendall(b"x")
            account.network.get("/v2.0/networks")
            made = account.network.post("/v2.0/security-groups", {"security_group": {"name": unique("g")}})["security_group"]["id"]
            account.network.delete(f"/v2.0/security-groups/{made}")
            account.container.get("/v1/containers")
        grown = host.memory_of(scrap.process) - before
        print(f"\n{grown} MiB for {CONNECTIONS} connections")
        assert grown < CONNECTIONS * KIB_A_CONNECTION // 1024, f"{grown} MiB for {CONNECTIONS} connections"
    # More of it takes no more: nothing is kept. (The allocator keeps what it has for the next, in pieces that fit less and less badly.)
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            for number in range(CONNECTIONS // 3):
                stack.enter_context(held(scrap, token, number))
            account.network.get("/v2.0/networks")
    again = host.memory_of(scrap.process) - before
    print(f"{again} MiB after as many again")
    assert again < grown * 1.25 + 20, f"{again} MiB in the end, {grown} after the first"


def test_a_connection_that_says_nothing_is_closed(scrap):
    """In the end: a head has its time, whatever trickles in meanwhile."""
    scrap.arguments += ["--set", "server.head_time=2"]
    try:
        scrap.restart()
        with socket.create_connection(("127.0.0.1", scrap.port), timeout=20) as silent, \
                socket.create_connection(("127.0.0.1", scrap.port), timeout=20) as slow:
            closed = threading.Event()

            def trickle():
                with contextlib.suppress(OSError):
                    slow.sendall(b"GET / HTTP/1.1\r\nX: ")
                    while not closed.wait(0.2):
                        slow.sendall(b"x")
            thread = threading.Thread(target=trickle)
            thread.start()
            try:
                assert silent.recv(4096) == b""
                assert slow.recv(4096)[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 400")
            except ConnectionResetError:
                pass
            finally:
                closed.set()
                thread.join()
    finally:
        del scrap.arguments[-2:]
        scrap.restart()


def test_hundreds_of_requests_down_one_connection(scrap):
    wire, token = Wire(scrap.port), scrap.account("demo").token()
    assert {wire.send("GET", "/network/v2.0/networks", headers={"X-Auth-Token": token})[0] for _ in range(300)} == {200}
