"""A stack of a thousand small resources."""
import time

from support.stacks import Stacks

from .common import Bound, Row, limited, spread

RESOURCES = 1000
TIMES = 3


def measure(cloud):
    stacks = Stacks(cloud.account("demo"))
    # Half of each kind, in chains of ten, so that the graph is neither flat nor one line.
    resources = {}
    for number in range(RESOURCES):
        resources[f"r{number}"] = {"type": "OS::Heat::RandomString" if number % 2 else "OS::Heat::None"}
        if number % 10:
            resources[f"r{number}"]["depends_on"] = f"r{number - 1}"
    create, delete = [], []
    for _ in range(TIMES):
        begun = time.monotonic()
        name = stacks.create({"heat_template_version": "rocky", "resources": resources})
        stacks.wait(name, timeout=300)
        create.append(time.monotonic() - begun)
        begun = time.monotonic()
        stacks.delete(name, timeout=300)
        delete.append(time.monotonic() - begun)
    return [limited(f"stack of {RESOURCES} resources to CREATE_COMPLETE", create, Bound(5, "s")),
            Row("… its deletion", spread(delete), samples=TIMES)]
