"""Calls per second of several threads of one process."""

import threading
import time
from collections.abc import Iterator

from . import operations as ops
from .backends import PEERS, Backend, Servers, ours
from .operations import Operation
from .scenarios import Terms
from .servers import running
from .table import Table

CALLS = 25
"""Of each thread in one sample."""


def threads(terms: Terms) -> Iterator[Table]:
    """1 and 8 threads: calls per second of all together."""
    backends = terms.present([*PEERS, ours(), ours(speed=True)])
    with running(3) as servers:
        for operation in (ops.GET, ops.SET, ops.get_many(10)):
            rows: dict[str, dict[str, float]] = {backend.name: {} for backend in backends}
            for count in (1, 8):
                crews = {backend.name: Crew(backend, servers, operation, count) for backend in backends}
                for _ in range(terms.samples):
                    for name, crew in crews.items():
                        column = f"{count} thread{'s' * (count > 1)}"
                        rows[name][column] = max(crew.rate(), rows[name].get(column, 0.0))
                for crew in crews.values():
                    crew.dismiss()
            yield Table(f"{operation.name}: calls per second", rows, more_is_better=True)


class Crew:
    """Threads that wait to do their calls together. As in Django, each has a backend object of its own."""

    def __init__(self, backend: Backend, servers: Servers, operation: Operation, count: int):
        self._count, self._dismissed = count, False
        self._start, self._end = threading.Barrier(count + 1), threading.Barrier(count + 1)
        operation.prepare(backend.make(servers))
        calls = [lambda: operation.bind(backend.make(servers)) for _ in range(count)]
        self._threads = [threading.Thread(target=self._work, args=(make,)) for make in calls]
        for thread in self._threads:
            thread.start()

    def _work(self, make: "ops.Call") -> None:
        call = make()
        while self._start.wait() is not None and not self._dismissed:
            for _ in range(CALLS):
                call()
            self._end.wait()

    def rate(self) -> float:
        self._start.wait()
        began = time.perf_counter()
        self._end.wait()
        return self._count * CALLS / (time.perf_counter() - began)

    def dismiss(self) -> None:
        self._dismissed = True
        self._start.wait()
        for thread in self._threads:
            thread.join()
