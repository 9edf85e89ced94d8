"""The outside world of the sandbox: the namespace `internet`, with a server that tells who asked."""
import subprocess
import sys

from . import host, wait

NAMESPACE = "internet"
ADDRESS = "198.51.100.1"
UPLINK = "198.51.100.2"

SERVER = """
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("from " + self.client_address[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Echo).serve_forever()
"""


class Outside:
    """GET http://198.51.100.1:8080/ answers `from ADDRESS` with the address the request came from."""
    url = f"http://{ADDRESS}:8080/"

    def __init__(self):
        self.process = subprocess.Popen(["ip", "netns", "exec", NAMESPACE, sys.executable, "-c", SERVER])
        wait.until(lambda: host.reachable(ADDRESS, 8080), 10, what="the server in the outside world")

    def stop(self):
        self.process.terminate()
        self.process.wait()
