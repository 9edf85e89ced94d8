"""Holds the results of a suite against the list of tests that are known to pass.

    compare.py check  PASSING.txt RESULTS.txt       exit status 1 when a listed test did not pass
    compare.py update PASSING.txt RESULTS.txt       adds what passed now; nothing is ever taken off
    compare.py select FAST.txt PASSING.txt...       prints the listed tests that match, as regular expressions

A test's name is written without the attributes that follow it in brackets, which change between versions.
"""
import pathlib
import re
import sys


def name_of(test):
    return re.sub(r"\[.*", "", test)


def read_results(path):
    """{name: status}; the worst status wins when one name ran more than once."""
    found = {}
    for line in pathlib.Path(path).read_text().splitlines():
        status, _, test = line.split(None, 2)
        name = name_of(test)
        if found.get(name) in (None, "success"):
            found[name] = status
    return found


def read_list(path):
    path = pathlib.Path(path)
    lines = path.read_text().splitlines() if path.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def check(passing, results):
    listed, found = read_list(passing), read_results(results)
    ran = {name for name in listed if name in found}
    broken = sorted(name for name in ran if found[name] not in ("success", "xfail"))
    # A class that fails to set up reports itself instead of its tests.
    absent = sorted(listed - ran)
    fresh = sorted(name for name, status in found.items() if status == "success" and name not in listed)
    for name in broken:
        print(f"no longer passes: {name} ({found[name]})")
    for name in absent:
        print(f"listed, but did not run: {name}")
    for name in fresh:
        print(f"passes now: {name}")
    print(f"{pathlib.Path(passing).name}: {len(ran) - len(broken)} of {len(listed)} listed tests pass, {len(fresh)} more pass now")
    return 1 if broken or absent else 0


def update(passing, results):
    listed, found = read_list(passing), read_results(results)
    now = listed | {name for name, status in found.items() if status == "success"}
    pathlib.Path(passing).write_text("".join(name + "\n" for name in sorted(now)))
    print(f"{pathlib.Path(passing).name}: {len(now)} tests, {len(now) - len(listed)} of them new")
    return 0


def select(fast, *lists):
    patterns = [re.compile(line) for line in read_list(fast)]
    for path in lists:
        for name in sorted(read_list(path)):
            if any(pattern.search(name) for pattern in patterns):
                print("^" + re.escape(name) + r"(\[|$)")
    return 0


if __name__ == "__main__":
    sys.exit({"check": check, "update": update, "select": select}[sys.argv[1]](*sys.argv[2:]))
