"""One process of the site: `python -m dcache_drill.worker SPEC`, where SPEC is JSON (testbed.py writes it)."""

import ctypes
import gc
import json
import logging
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from random import Random
from typing import Any

from .ground_truth import Instruction
from .plan import ALIAS, PREFIX, options

VITALS_SECONDS = 2.0
"""Between two looks at the process's own sockets, threads and memory."""
CHILD_SECONDS = 2.0
"""For which a forked child works."""
CHILD_HASTE = 20.0
MAX_CHILDREN = 100
STALL_SECONDS = 0.05
"""By which a process that slept has to wake too late before that is written down."""
FOR_EVER = float("inf")
FORKS: Mapping[int, Callable[[], int]] = {
    Instruction.FORK: os.fork,
    # libc's own, which runs none of Python's at-fork handlers; PyDLL keeps the lock of the interpreter.
    Instruction.RAW_FORK: ctypes.PyDLL(None).fork,
}


def main(spec: dict[str, Any]) -> None:
    # What the product has to say is expected here; what Python says is not.
    logging.getLogger("django_dcache").addHandler(logging.NullHandler())
    if spec["plugin"]:
        resolve_name(spec["plugin"])()
    set_up_django(spec)
    from django.core.cache import caches  # Here: it needs the settings.

    Process(spec, caches[ALIAS]).run(spec["writer"], spec["seed"], spec["seconds"] or FOR_EVER)


def set_up_django(spec: dict[str, Any]) -> None:
    import django  # Here: a plugin may change how the product is imported.
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
        from .ground_truth import GroundTruth  # Here: it imports the product, which a plugin may change first.

        self._spec, self._cache = spec, cache
        self._folder = Path(spec["folder"])
        self._truth = GroundTruth(self._folder / "truth")
        self._children = 0

    def run(self, writer: int, seed: int, seconds: float = FOR_EVER, haste: float = 1.0) -> None:
        """`haste`: how many times the rate of the plan."""
        # Here: they import the product, which a plugin may change first.
        from .client import Client
        from .ground_truth import INSTRUCTIONS, STOP
        from .history import Recorder
        from .workload import Workload

        chance = Random(seed)
        recorder = Recorder(self._folder / f"history-{writer:03}")
        client = Client(self._cache, self._truth, recorder, writer, chance)
        with (self._folder / f"notes-{writer:03}").open("a", buffering=1) as notes:
            client.complain = lambda call, error: _note(notes, complaint=call, error=_trace(error))
            workload = Workload(client, self._truth, chance, self._spec)
            pause, cells = 1 / (haste * self._spec["rate"]), self._truth.cells
            began = looked = due = time.monotonic()
            while not cells[STOP] and (now := time.monotonic()) - began < seconds:
                workload.step()
                if now - looked > VITALS_SECONDS:
                    looked = now
                    self._reap()
                    _note(notes, vitals=vitals(self._cache.fleet))
                if seconds == FOR_EVER and cells[INSTRUCTIONS + writer]:
                    told, cells[INSTRUCTIONS + writer] = cells[INSTRUCTIONS + writer], Instruction.NONE
                    if told in FORKS:
                        self._fork(Instruction(told), writer, seed)
                    else:
                        client.interrupts = told == Instruction.INTERRUPT
                # A process that fell behind does not catch up: it would be another load than the one asked for.
                due = max(due + pause * 2 * chance.random(), now)
                asleep = time.monotonic()
                time.sleep(max(0.0, due - asleep))
                if time.monotonic() - max(due, asleep) > STALL_SECONDS:
                    client.stalled(max(due, asleep))
        self._reap(wait=True)

    def _fork(self, kind: Instruction, writer: int, seed: int) -> None:
        self._children += 1
        if self._children <= MAX_CHILDREN and FORKS[kind]() == 0:
            number = MAX_CHILDREN * (writer + MAX_CHILDREN) + self._children
            # Two that share a connection by mistake show it only if they use it at the same moment.
            haste = CHILD_HASTE if kind == Instruction.RAW_FORK else 1.0
            try:
                self.run(number, seed + self._children, CHILD_SECONDS, haste)
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
