"""Copies a tree and replaces every symbolic link by what it points to, resolved inside a root directory.

    flatten.py ROOT SOURCE DESTINATION        (SOURCE is absolute inside ROOT)

Debian's WordPress points into other packages by absolute links; in the image these targets do not exist. A link that
leads nowhere is left out, a file that DESTINATION already has is kept.
"""
import os
import shutil
import sys

MAX_LINKS = 20


def resolve(root, path):
    """The real place of PATH inside ROOT, or None when a link on the way leads nowhere."""
    for _ in range(MAX_LINKS):
        parts, current = path.strip("/").split("/"), ""
        for index, part in enumerate(parts):
            current += "/" + part
            if os.path.islink(root + current):
                target = os.readlink(root + current)
                if not target.startswith("/"):
                    target = os.path.normpath(os.path.dirname(current) + "/" + target)
                path = "/".join([target] + parts[index + 1:])
                break
        else:
            full = os.path.join(root, path.lstrip("/"))
            return full if os.path.exists(full) else None
    return None


def copy(root, path, destination):
    source = resolve(root, path)
    if source is None:
        return
    if os.path.isdir(source):
        os.makedirs(destination, exist_ok=True)
        for name in sorted(os.listdir(source)):
            copy(root, path.rstrip("/") + "/" + name, destination + "/" + name)
    elif not os.path.exists(destination):
        shutil.copy2(source, destination)


if __name__ == "__main__":
    copy(*sys.argv[1:4])
