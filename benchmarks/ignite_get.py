"""Reading from one Ignite server: this cache beside pyignite, in turn, on one core.

    DCACHE_IGNITE=FOLDER python benchmarks/ignite_get.py

Prints microseconds a get, the least and the median of the rounds, and the ratio of the medians.
"""

import os
import statistics
import time

import pyignite
from django.conf import settings

from django_dcache.backend import DistributedCache
from django_dcache.testing import LocalIgnite

ROUNDS, GETS = 30, 200
VALUE = "x" * 100


def timed(get):
    """Microseconds a call."""
    began = time.perf_counter()
    for _ in range(GETS):
        get()
    return (time.perf_counter() - began) / GETS * 1e6


def main():
    settings.configure()
    with LocalIgnite() as server:
        os.sched_setaffinity(0, {0})
        cache = DistributedCache([server.address], {"OPTIONS": {"timeout": 5.0, "connect_timeout": 5.0}})
        cache.set("key", VALUE)
        host, port = server.endpoint.split(":")
        client = pyignite.Client()
        with client.connect(host, int(port)):
            theirs = client.get_cache("dcache")
            theirs.put("theirs", VALUE)
            assert theirs.get("theirs") == VALUE == cache.get("key")
            gets = {"pyignite": lambda: theirs.get("theirs"), "django-dcache": lambda: cache.get("key")}
            took = {name: [] for name in gets}
            for number in range(ROUNDS + 3):
                for name, get in gets.items():
                    seconds = timed(get)
                    if number >= 3:  # The server has compiled what it runs by then.
                        took[name].append(seconds)
        for name, found in took.items():
            print(f"{name:14} {min(found):8.1f} {statistics.median(found):8.1f}")
        print(f"ratio {statistics.median(took['django-dcache']) / statistics.median(took['pyignite']):.2f}")
        cache.fleet.close()


if __name__ == "__main__":
    main()
