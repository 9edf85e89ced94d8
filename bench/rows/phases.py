"""Where the time of a container's start goes, from the program's own log.

The task runner, the agent and the network driver each write one line at debug level for what they did and how long it
took (`LOG_LEVEL`); the lines of one container between two moments are its phases.
"""
import datetime
import json

LOG_LEVEL = "info,sahab_task=debug,sahab_agent=debug,sahab_kuryr=debug"
NAMES = ("accepted", "scheduled", "port and image", "network and rules", "(meanwhile Docker create)", "Docker start",
         "(in it our network driver)", "status written", "(seen by the client)")


class Log:
    """The lines that are written from now on."""

    def __init__(self, cloud):
        self.path = cloud.log_path
        self.position = self.path.stat().st_size

    def lines(self):
        with open(self.path, "rb") as log:
            log.seek(self.position)
            for line in log:
                try:
                    yield json.loads(line)
                except ValueError:  # a line being written
                    return


def seconds(line):
    return line["micros"] / 1e6


def moment(line):
    return datetime.datetime.fromisoformat(line["timestamp"]).timestamp()


def split(log, container, begun, accepted, seen):
    """Seconds by phase, in the order of NAMES. The times are those of the client: when it asked, had its 202, saw Running."""
    steps, engine, driver, written = {}, {}, 0.0, None
    for line in log.lines():
        match line.get("message"):
            case "task step ran" if line["key"] == container:
                steps[line["step"]] = line
            case "phase" if line["container"] == container:
                engine[line["what"]] = seconds(line)
            case "Docker's network request":
                driver += seconds(line)
            case "task outcome written" if line["key"] == container:
                written = moment(line)
    prepare = steps["prepare"]
    picked = moment(prepare) - seconds(prepare)
    return (accepted - begun, picked - accepted, seconds(prepare), engine["network and rules"], engine["engine create"],
            engine["engine start"], driver, written - moment(steps["run"]), seen - written)


def text(splits, middle):
    """The middle of each phase in milliseconds; MIDDLE makes one number of many."""
    return " · ".join(f"{name} {middle([one[index] for one in splits]) * 1000:.0f}" for index, name in enumerate(NAMES)) + " ms"
