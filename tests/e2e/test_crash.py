"""SIGKILL at random moments of real work: after the next start every object reaches a final state and nothing is left.

SAHAB_CRASH_KILLS says how often (default 6; 100 for the long run), SAHAB_CRASH_SEED repeats a run (it is printed).
"""
import os
import random
import time

import pytest

from support.load import remove_all, settle, working

KILLS = int(os.environ.get("SAHAB_CRASH_KILLS", "6"))
# Before the quotas are full of what was left over, which would end most of the work at its first step.
KILLS_PER_PROJECT = 10


@pytest.fixture
def say(capsys):
    """Prints past pytest's capture: the seed is wanted from a run that passes, too."""
    def line(text):
        with capsys.disabled():
            print(f"\n{text}", flush=True)
    return line


def test_kill_at_random_moments(cloud, admin, say):
    seed = int(os.environ.get("SAHAB_CRASH_SEED") or random.randrange(2**32))
    say(f"seed {seed}, {KILLS} kills (repeat with SAHAB_CRASH_SEED={seed})")
    chance = random.Random(seed)
    for first in range(0, KILLS, KILLS_PER_PROJECT):
        account = admin.new_project()
        account.token()
        try:
            for number in range(first, min(first + KILLS_PER_PROJECT, KILLS)):
                with working(account, chance):
                    time.sleep(chance.uniform(0.05, 4))
                    cloud.kill()
                    cloud.start()
                settle(account, f"seed {seed}, kill {number + 1}")
            remove_all(account)
        finally:
            account.forget_token()
            admin.drop_project(account)
    say(f"{KILLS} kills survived")
