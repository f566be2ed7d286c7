"""Load on a fleet: processes that read, write and count through Django's API, and hold answers against the truth."""

import json
import multiprocessing
import os
import random
import sys
import traceback
from time import sleep
from typing import Any

from support.load.findings import Findings
from support.load.truth import Truth
from support.load.worker import Worker

PROCESSES = 4

_spawn = multiprocessing.get_context("spawn")


def environment(addresses: list[Any], options: dict[str, Any]) -> dict[str, str]:
    """What a process needs to run in the project on this fleet (settings.py)."""
    return {
        "DCACHE_TEST_FLEET": json.dumps({"LOCATION": addresses, "OPTIONS": options}),
        "DJANGO_SETTINGS_MODULE": "support.load.settings",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


class Load:
    """`with Load(addresses, options, keys, counters) as load:` runs; `load.findings` are there after `load.stop()`.

    `rest`: seconds between a hundred operations of a process and its next, for the machine to have time for others."""

    def __init__(
        self, addresses: list[Any], options: dict[str, Any], keys: int, counters: int, seed: int = 1, rest: float = 0.0
    ):
        self.truth = Truth(keys, counters, PROCESSES)
        self.findings = Findings()
        self._stop, self._ready = _spawn.Event(), _spawn.Barrier(PROCESSES + 1)
        self._rebirth, self._results = _spawn.Lock(), _spawn.Queue()
        shared = self.truth, self._rebirth, self._ready, self._stop, self._results
        self._processes = [
            _spawn.Process(target=_work, args=(addresses, options, seed, number, rest, *shared), daemon=True)
            for number in range(PROCESSES)
        ]

    def __enter__(self) -> "Load":
        for process in self._processes:
            process.start()
        self._ready.wait(120)
        return self

    def stop(self) -> Findings:
        """End the load and gather what it found."""
        if not self._stop.is_set():
            self._stop.set()
            for _ in self._processes:
                self.findings.merge(self._results.get(timeout=60))
            for process in self._processes:
                process.join()
        return self.findings

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.stop()
        for process in self._processes:
            process.kill()
            process.join()


def _work(
    addresses: list[Any],
    options: dict[str, Any],
    seed: int,
    number: int,
    rest: float,
    truth: Truth,
    rebirth: Any,
    ready: Any,
    stop: Any,
    results: Any,
) -> None:
    os.environ.update(environment(addresses, options))
    from django.core.cache import cache  # Reads its settings when it is first used.

    worker = Worker(cache, truth, number, random.Random(seed * PROCESSES + number), rebirth)
    try:
        worker.plant()
        ready.wait()
        while not stop.is_set():
            worker.step()
            sleep(rest)
    except BaseException:
        worker.findings.note("worker died", traceback.format_exc())
        ready.abort()
    results.put(worker.findings)
