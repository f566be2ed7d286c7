"""Greenlets that are broken off by their timeouts: never another call's reply."""

import json
import subprocess
import sys

import pytest

from django_dcache.testing import FaultProxy, LocalNode
from support.checkout import CHECKOUT

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import json, os, random, sys
sys.path[:0] = [{root!r}, {root!r} + "/manager", {root!r} + "/tests"]
os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
import django
django.setup()
import gevent
from django_dcache.backend import DistributedCache
from django_dcache.flows.count import count as flow_of_count
from django_dcache.model.keys import wire_key

cache = DistributedCache([{address!r}], {{"OPTIONS": {{"timeout": 10.0, "connect_timeout": 10.0}}}})
wrong, broken_off = [], 0

def work(number):
    global broken_off
    chance = random.Random(number)
    key = f"g{{number}}"
    held = {{None}}
    for turn in range(40):
        timeout = gevent.Timeout(chance.uniform(0.0005, 0.02))
        value = f"{{key}} {{turn}}"
        timeout.start()
        try:
            if chance.random() < 0.5:
                held.add(value)
                if cache.set(key, value):
                    held = {{value}}
            else:
                found = cache.get(key)
                if found not in held:
                    wrong.append((key, found, sorted(map(str, held))))
        except gevent.Timeout as raised:
            assert raised is timeout
            broken_off += 1
            held.add(None)
        finally:
            timeout.close()

gevent.joinall([gevent.spawn(work, number) for number in range(16)], raise_error=True)
# Nobody is in the middle of anything now: whatever is read is what was written.
for number in range(16):
    assert cache.set(f"g{{number}}", number)
for number in range(16):
    assert cache.get(f"g{{number}}") == number
import gc
gc.collect()
idle = sum(len(pool.idle) for pool in cache.fleet.transport.pools().values())
print(json.dumps([wrong, broken_off, idle]), flush=True)
sys.stdin.readline()
"""


def test_gevent():
    """Greenlets whose timeouts break off operations under way get no other greenlet's reply, and leak nothing."""
    pytest.importorskip("gevent")
    with LocalNode() as node, FaultProxy(node.address, seed=7) as proxy:
        proxy.delay(0.003, jitter=0.006, direction="replies")
        script = GREENLETS.format(root=str(CHECKOUT), address=proxy.address)
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            wrong, broken_off, idle = json.loads(process.stdout.readline())
            proxy.heal()
            for _ in range(10_000):
                if proxy.open == idle:
                    break
            still_open = proxy.open
            process.stdin.close()
    assert not wrong
    assert broken_off > 20
    assert still_open == idle
