"""Writes image layers and docker-archive files that are the same bytes for the same content.

    pack.py layer ROOT OUT.tar
    pack.py archive OUT.tar TAG RECIPE-HASH LAYER.tar...     (the image's config JSON on standard input)

Times are cut to SOURCE_DATE_EPOCH, names sorted, owners numeric. A layer made from an overlay's upper directory carries
deletions in the way image layers spell them (.wh. files).
"""
import datetime
import hashlib
import io
import json
import os
import stat
import sys
import tarfile

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
RECIPE_LABEL = "cloud.sahab.recipe"
# Directories whose content an image never carries, and files that belong to one machine or one build.
EMPTIED = {"dev", "proc", "sys", "run", "tmp", "var/tmp", "var/log", "var/cache/apt", "var/lib/apt",
           "var/cache/debconf", "var/cache/ldconfig"}
DROPPED = {"etc/.pwd.lock", "etc/machine-id", "etc/resolv.conf", "etc/hostname", "etc/passwd-", "etc/group-",
           "etc/shadow-", "etc/gshadow-", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend",
           "var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old",
           "var/lib/dpkg/triggers/Lock", "var/lib/dbus/machine-id"}


class LayerWriter:
    """Adds a directory tree to a tar in sorted order, hard links kept."""

    def __init__(self, root, tar):
        self.root, self.tar, self.linked = root, tar, {}

    def walk(self, relative=""):
        for name in sorted(os.listdir(os.path.join(self.root, relative))):
            path = os.path.join(relative, name) if relative else name
            if path in DROPPED:
                continue
            self.add(path)
            full = os.path.join(self.root, path)
            if os.path.isdir(full) and not os.path.islink(full) and path not in EMPTIED:
                self.walk(path)

    def add(self, path):
        full = os.path.join(self.root, path)
        status = os.lstat(full)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:  # the overlay's mark for a deleted name
            directory, name = os.path.split(path)
            self.mark(os.path.join(directory, ".wh." + name))
            return
        entry = tarfile.TarInfo(path)
        entry.uid, entry.gid, entry.mode = status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)
        entry.mtime = min(int(status.st_mtime), EPOCH)
        if stat.S_ISDIR(status.st_mode):
            entry.type = tarfile.DIRTYPE
            self.tar.addfile(entry)
            if is_opaque(full):
                self.mark(os.path.join(path, ".wh..wh..opq"))
        elif stat.S_ISLNK(status.st_mode):
            entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(full)
            self.tar.addfile(entry)
        elif stat.S_ISREG(status.st_mode):
            self.add_file(entry, full, status)

    def add_file(self, entry, full, status):
        if status.st_nlink > 1:
            inode = (status.st_dev, status.st_ino)
            if inode in self.linked:
                entry.type, entry.linkname = tarfile.LNKTYPE, self.linked[inode]
                self.tar.addfile(entry)
                return
            self.linked[inode] = entry.name
        entry.size = status.st_size
        with open(full, "rb") as content:
            self.tar.addfile(entry, content)

    def mark(self, path):
        entry = tarfile.TarInfo(path)
        entry.mode, entry.mtime = 0o644, EPOCH
        self.tar.addfile(entry)


def is_opaque(directory):
    try:
        return os.getxattr(directory, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


def write_layer(root, out):
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        LayerWriter(root, tar).walk()


def digest(path):
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_archive(out, tag, recipe_hash, layers):
    config = json.load(sys.stdin)
    config.setdefault("Labels", {})[RECIPE_LABEL] = recipe_hash
    ids = [digest(layer) for layer in layers]
    created = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = {"architecture": machine_architecture(), "os": "linux", "created": created, "config": config,
             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + i for i in ids]},
             "history": [{"created": created, "created_by": "images/build.sh"} for _ in ids]}
    image_bytes = json.dumps(image, sort_keys=True, separators=(",", ":")).encode()
    image_id = hashlib.sha256(image_bytes).hexdigest()
    manifest = [{"Config": image_id + ".json", "RepoTags": [tag], "Layers": [i + "/layer.tar" for i in ids]}]

    def entry(name, size):
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, EPOCH, 0o644
        return info

    part = out + ".part"
    with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in (("manifest.json", json.dumps(manifest).encode()), (image_id + ".json", image_bytes)):
            tar.addfile(entry(name, len(data)), io.BytesIO(data))
        for layer_id, layer in zip(ids, layers):
            with open(layer, "rb") as content:
                tar.addfile(entry(layer_id + "/layer.tar", os.path.getsize(layer)), content)
    os.replace(part, out)
    size = sum(map(os.path.getsize, layers)) / 1e6
    print(f"  {tag:18s} id={image_id[:12]}  {size:6.1f} MB in {len(layers)} layers", file=sys.stderr)


def machine_architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def main(arguments):
    if arguments[0] == "layer":
        write_layer(*arguments[1:])
    else:
        write_archive(arguments[1], arguments[2], arguments[3], arguments[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
