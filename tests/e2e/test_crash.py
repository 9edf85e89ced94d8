"""SIGKILL at random moments of real work: after the next start every object reaches a final state and nothing is left.

SAHAB_CRASH_KILLS says how often (default 6; 100 for the long run), SAHAB_CRASH_SEED repeats a run (it is printed).
"""
import os
import random
import time

from support.load import remove_all, settle, working

KILLS = int(os.environ.get("SAHAB_CRASH_KILLS", "6"))


def test_kill_at_random_moments(cloud, admin):
    seed = int(os.environ.get("SAHAB_CRASH_SEED") or random.randrange(2**32))
    print(f"\nseed {seed}, {KILLS} kills (repeat with SAHAB_CRASH_SEED={seed})")
    chance = random.Random(seed)
    account = admin.new_project()
    account.token()
    try:
        for number in range(KILLS):
            with working(account, chance):
                time.sleep(chance.uniform(0.05, 4))
                cloud.kill()
                cloud.start()
            settle(account, f"seed {seed}, kill {number + 1}")
        remove_all(account)
    finally:
        account.forget_token()
        admin.drop_project(account)
