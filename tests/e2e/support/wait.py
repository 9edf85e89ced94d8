"""Waiting for a condition with a deadline, so that no test sleeps a guessed time."""
import time


class TimedOut(AssertionError):
    """The condition did not come true; says what was seen last."""


def until(condition, timeout=60, interval=0.2, what="the condition"):
    """Calls CONDITION until it returns something true and returns that.

    An AssertionError or OSError inside counts as "not yet" and is shown when the time is up.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = repr(value)
        except (AssertionError, OSError) as error:
            last = repr(error)
        if time.monotonic() >= deadline:
            raise TimedOut(f"{what} did not come true in {timeout} s; last: {last}")
        time.sleep(interval)
