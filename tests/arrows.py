"""Checks the arrows between the project's crates (ARCHITECTURE.md): who may depend on whom.

    cargo metadata --format-version 1 --no-deps | tests/arrows.py

The program knows all; services and drivers know only the kit; the agent knows drivers; nobody knows a neighbour of its own
kind. A service's tests (dev-dependencies) may also use the testkit and a driver's fake.
"""
import json
import pathlib
import sys

PROGRAM = "sahab"
AGENT = "sahab-agent"
DRIVERS = {"sahab-docker", "sahab-dataplane", "sahab-kuryr", "sahab-storage"}
# Small and stable; the order is the order of their own arrows: each may use only those before it.
KIT = ["sahab-contract", "sahab-policy", "sahab-db", "sahab-api", "sahab-task", "sahab-bus"]
TESTKIT = "sahab-testkit"


def kind(crate):
    if crate == PROGRAM:
        return "program"
    if crate == AGENT:
        return "agent"
    if crate in DRIVERS:
        return "driver"
    if crate in KIT or crate == TESTKIT:
        return "kit"
    return "service"


ALLOWED = {
    "program": {"agent", "service", "driver", "kit"},
    "agent": {"driver", "kit"},
    "driver": {"kit"},
    "service": {"kit"},
    "kit": {"kit"},
}


def faults(packages):
    ours = {package["name"] for package in packages}
    for package in packages:
        crate = package["name"]
        if kind(crate) == "kit" and "kit" not in pathlib.Path(package["manifest_path"]).parts:
            yield f"{crate} is listed as kit, but does not lie in crates/kit"
        for dependency in package["dependencies"]:
            target = dependency["name"]
            if target not in ours or target == crate:
                continue
            if dependency["kind"] == "dev" and (target == TESTKIT or kind(target) == "driver"):
                continue
            if kind(target) not in ALLOWED[kind(crate)]:
                yield f"{crate} ({kind(crate)}) must not depend on {target} ({kind(target)})"
            elif kind(crate) == "kit" and crate in KIT and KIT.index(target) > KIT.index(crate):
                yield f"{crate} must not depend on {target}: the kit's crates build on each other in one order only"


def main():
    packages = json.load(sys.stdin)["packages"]
    found = sorted(set(faults(packages)))
    for fault in found:
        print("arrow:", fault, file=sys.stderr)
    print(f"crate arrows: {len(packages)} crates, {len(found)} forbidden arrows", file=sys.stderr)
    sys.exit(1 if found or not packages else 0)


if __name__ == "__main__":
    main()
