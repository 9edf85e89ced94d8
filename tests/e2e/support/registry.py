"""An image registry for pulling, in the test's own process: one image from an archive that images/build.sh made.

Speaks what a pull needs of the registry API v2: manifests by tag or digest, blobs by digest, HEAD and GET.
"""
import gzip
import hashlib
import http.server
import json
import pathlib
import subprocess
import tarfile
import threading
import uuid

PROJECT = pathlib.Path(__file__).resolve().parents[3]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def archive_of(name):
    """The archive of an example image in the cache."""
    done = subprocess.run([PROJECT / "images" / "build.sh", "-n", name], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Registry:
    """`with Registry("busybox", "test/pulled:1") as registry:` serves the image as `registry.image`; `asked` lists the paths."""

    def __init__(self, example, name):
        self.repository, self.tag = name.rsplit(":", 1)
        self.blobs, self.asked = {}, []
        with tarfile.open(archive_of(example)) as archive:
            listed = json.load(archive.extractfile("manifest.json"))[0]
            # Another label makes another image: the engine does not fetch what it has under another name.
            described = json.load(archive.extractfile(listed["Config"]))
            described["config"]["Labels"]["test"] = uuid.uuid4().hex
            config = json.dumps(described).encode()
            layers = [gzip.compress(archive.extractfile(layer).read(), 1, mtime=0) for layer in listed["Layers"]]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(CONFIG, config),
                    "layers": [self.blob(LAYER, layer) for layer in layers]}
        self.manifest = json.dumps(manifest).encode()
        self.manifest_digest = self.blob(MANIFEST, self.manifest)["digest"]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())

    def blob(self, media, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs[digest] = (media, content)
        return {"mediaType": media, "size": len(content), "digest": digest}

    @property
    def image(self):
        return f"127.0.0.1:{self.server.server_port}/{self.repository}:{self.tag}"

    def find(self, path):
        """(media type, content) of a path, or None."""
        root = f"/v2/{self.repository}/"
        if path == "/v2/":
            return "application/json", b"{}"
        if path == f"{root}manifests/{self.tag}":
            return MANIFEST, self.manifest
        if path.startswith(root):
            return self.blobs.get(path.rsplit("/", 1)[1])
        return None

    def handler(registry):  # noqa: N805: the request's own self is the inner one
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.asked.append(self.path)
                found = registry.find(self.path)
                media, content = found or ("application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                if media == MANIFEST:
                    self.send_header("Docker-Content-Digest", registry.manifest_digest)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass
        return Handler

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
