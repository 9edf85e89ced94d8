"""Checks every dependency against deny.toml: its licence is allowed, it is not banned, it comes from the registry.

    cargo metadata --format-version 1 --locked | tests/licences.py deny.toml

`cargo deny` does this and more (advisories); this needs nothing but Python, so that no machine goes without the check.
"""
import json
import re
import sys
import tomllib


def allowed(expression, names):
    """Evaluates an SPDX expression: OR needs one side, AND both; the old spelling A/B means OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def either():
        nonlocal position
        value = both()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            value = both() or value
        return value

    def both():
        nonlocal position
        value = one()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            value = one() and value
        return value

    def one():
        nonlocal position
        token = tokens[position]
        position += 1
        if token == "(":
            value = either()
            position += 1
            return value
        if position + 1 < len(tokens) and tokens[position] == "WITH":
            token = f"{token} WITH {tokens[position + 1]}"
            position += 2
        return token in names

    return either()


def faults(packages, rules):
    names = set(rules["licenses"]["allow"])
    banned = {entry["crate"]: entry["reason"] for entry in rules["bans"]["deny"]}
    for package in packages:
        crate = f"{package['name']} {package['version']}"
        if not package.get("license"):
            yield f"{crate} states no licence"
        elif not allowed(package["license"], names):
            yield f"{crate}: licence {package['license']} is not allowed by deny.toml"
        if package["name"] in banned:
            yield f"{crate} is banned: {banned[package['name']]}"
        if package["source"] and not package["source"].startswith("registry+"):
            yield f"{crate} comes from {package['source']}, not from the registry"


def main():
    with open(sys.argv[1], "rb") as file:
        rules = tomllib.load(file)
    packages = json.load(sys.stdin)["packages"]
    found = sorted(set(faults(packages, rules)))
    for fault in found:
        print("licence:", fault, file=sys.stderr)
    print(f"licences: {len(packages)} packages, {len(found)} faults", file=sys.stderr)
    sys.exit(1 if found or not packages else 0)


if __name__ == "__main__":
    main()
