"""One process of the site: `python -m dcache_drill.worker SPEC`, where SPEC is JSON (arena.py writes it)."""

import gc
import json
import logging
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

from . import teeth
from .terms import ALIAS, PREFIX, options

VITALS = 2.0
"""Seconds between two looks at the process's own sockets, threads and memory."""
PARTING = 2.0
"""Seconds that a forked child goes on."""
MAX_CHILDREN = 100
STALLED = 0.05
"""Seconds by which a process that slept has to wake too late before it is written down."""


def main(spec: dict[str, Any]) -> None:
    # What the product has to say is expected here; what Python says is not.
    logging.getLogger("django_dcache").addHandler(logging.NullHandler())
    if spec["bug"]:
        teeth.plant(spec["bug"])
    set_up_django(spec)
    from django.core.cache import caches

    Process(spec, caches[ALIAS]).run(spec["writer"], spec["seed"])


def set_up_django(spec: dict[str, Any]) -> None:
    import django
    from django.conf import settings

    entry = {
        "BACKEND": "django_dcache.backend.DistributedCache",
        "LOCATION": spec["location"],
        "KEY_PREFIX": PREFIX,
        "OPTIONS": options(spec),
    }
    settings.configure(CACHES={ALIAS: entry}, SECRET_KEY="drill", SESSION_CACHE_ALIAS=ALIAS)
    django.setup()


class Process:
    """Works until the truth says stop; a forked child works for a while beside its parent, on the same Fleet."""

    def __init__(self, spec: dict[str, Any], cache: Any):
        from .truth import Truth

        self._spec, self._cache = spec, cache
        self._folder = Path(spec["folder"])
        self._truth = Truth(self._folder / "truth")
        self._children = 0

    def run(self, writer: int, seed: int, seconds: float = float("inf")) -> None:
        from .client import Client
        from .history import Recorder
        from .truth import ORDERS, STOP, Order
        from .workload import Workload

        chance = Random(seed)
        recorder = Recorder(self._folder / f"history-{writer:03}")
        client = Client(self._cache, self._truth, recorder, writer, chance)
        with (self._folder / f"notes-{writer:03}").open("a", buffering=1) as notes:
            client.complain = lambda call, error: _note(notes, complaint=call, error=_trace(error))
            workload = Workload(client, self._truth, chance, self._spec)
            pause, cells = 1 / self._spec["rate"], self._truth.cells
            began = looked = due = time.monotonic()
            while not cells[STOP] and (now := time.monotonic()) - began < seconds:
                workload.step()
                if now - looked > VITALS:
                    looked = now
                    self._reap()
                    _note(notes, vitals=vitals(self._cache.fleet))
                if seconds == float("inf") and cells[ORDERS + writer]:
                    order, cells[ORDERS + writer] = cells[ORDERS + writer], Order.NONE
                    if order == Order.FORK:
                        self._fork(writer, seed)
                    else:
                        client.interrupts = order == Order.INTERRUPT
                # A process that fell behind does not catch up: it would be another load than the one asked for.
                due = max(due + pause * 2 * chance.random(), now)
                asleep = time.monotonic()
                time.sleep(max(0.0, due - asleep))
                if time.monotonic() - max(due, asleep) > STALLED:
                    client.stalled(max(due, asleep))
        self._reap(wait=True)

    def _fork(self, writer: int, seed: int) -> None:
        self._children += 1
        if self._children <= MAX_CHILDREN and os.fork() == 0:
            try:
                self.run(MAX_CHILDREN * (writer + MAX_CHILDREN) + self._children, seed + self._children, PARTING)
            finally:
                os._exit(0)

    def _reap(self, wait: bool = False) -> None:
        try:
            while os.waitpid(-1, 0 if wait else os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def vitals(fleet: Any) -> dict[str, Any]:
    """What could leak."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
    return {
        "at": time.monotonic(),
        "descriptors": len(os.listdir("/dev/fd")),
        "threads": threading.active_count(),
        "memory": pages * resource.getpagesize(),
        "counters": dict(fleet.counters),
        "epoch": fleet.view.epoch,
    }


def _note(notes: Any, **line: Any) -> None:
    notes.write(json.dumps({"at": time.monotonic(), **line}) + "\n")


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
