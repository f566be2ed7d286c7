"""Nodes, networks and processes of a drill, all on loopback and all its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from django_dcache.conf import Configuration, parse
from django_dcache.flows.write import write
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy, LocalNode

from .checker import Violation
from .history import read
from .terms import ALIAS, OBSERVE, Terms
from .truth import MAX_WORKERS, ORDERS, STOP, Order, Truth, own_names

Networks = Mapping[str, FaultProxy]
"""Between one process and each node, by the node's address."""


@dataclass
class Worker:
    """A process of the site and its networks."""

    number: int
    process: subprocess.Popen[bytes]
    proxies: Networks = field(default_factory=dict)
    frozen: bool = False

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Arena:
    """`with Arena(terms, folder) as arena`: everything runs. Ends only what it started."""

    def __init__(self, terms: Terms, folder: Path):
        self.terms, self.folder = terms, folder
        self.truth = Truth(folder / "truth")
        self.workers: list[Worker] = []
        self.complaints: list[Violation] = []
        """What faults found out themselves."""
        self._stack = ExitStack()
        self._number = 0
        self._held: set[str] = set()
        self.operators: Networks = {}
        """Of whoever leads a resize."""

    def __enter__(self) -> "Arena":
        terms = self.terms
        with self._stack:
            self._stack.callback(self.truth.close)
            self.nodes = [] if terms.location else self._start_nodes()
            addresses = list(terms.location) or [node.address for node in self.nodes[: terms.nodes]]
            self.location = [{"name": f"n{number}", "address": address} for number, address in enumerate(addresses)]
            self.fleet = Fleet(self.configuration)
            self._stack.callback(self.fleet.close)
            self.operators = self._lay_networks(MAX_WORKERS)
            self._stack.callback(self._end_workers)
            for _ in range(terms.workers):
                self.hire()
            self._await_work()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_nodes(self) -> list[LocalNode]:
        terms = self.terms
        # What a hung node does when it wakes shows fully only on one of several threads.
        kinds = [4 if number == 0 else 1 for number in range(terms.nodes + terms.spares)]
        return [
            self._stack.enter_context(LocalNode(memory=terms.memory, threads=threads, extra=("-c", "256")))
            for threads in kinds
        ]

    @property
    def configuration(self) -> Configuration:
        return parse(ALIAS, self.location, self.terms.options)

    def node(self, name: str) -> LocalNode:
        return self.nodes[int(name.removeprefix("n"))]

    def serving(self) -> list[str]:
        """Names of the nodes that are in the fleet at present, as far as it is known here."""
        return list(self.fleet.proven_view().state.topology.nodes)

    def spare(self) -> list[str]:
        """Names of the nodes that are not."""
        names, serving = [f"n{number}" for number in range(len(self.nodes))], self.serving()
        return [name for name in names if name not in serving]

    @contextmanager
    def holding(self, chance: Random) -> Iterator[str]:
        """The name of a node that serves, and that no other fault has taken."""
        name = chance.choice([name for name in self.serving() if name not in self._held])
        with self.holding_all([name]):
            yield name

    @contextmanager
    def holding_all(self, names: Sequence[str]) -> Iterator[None]:
        new = set(names) - self._held
        self._held |= new
        try:
            yield
        finally:
            self._held -= new

    def endpoint(self, name: str) -> tuple[str, int]:
        host, _, port = self.node(name).address.rpartition(":")
        return host, int(port)

    def complain(self, invariant: str, text: str) -> None:
        self.complaints.append(Violation(invariant, text, time.monotonic()))

    def networks(self, name: str, workers: Sequence[Worker] | None = None) -> Iterator[FaultProxy]:
        """Between the node and each of the workers (all, by default) that has one."""
        address = self.terms.location[int(name.removeprefix("n"))] if self.terms.location else self.node(name).address
        for worker in self.workers if workers is None else workers:
            if address in worker.proxies:
                yield worker.proxies[address]

    def _await_work(self, seconds: float = 60.0) -> None:
        """Until every worker has recorded something."""
        give_up = time.monotonic() + seconds
        while not all(any(True for _ in read(path)) for path in self._histories()):
            if time.monotonic() > give_up or any(worker.process.poll() is not None for worker in self.workers):
                raise RuntimeError(f"workers did not begin: {(self.folder / 'stderr').read_text()}")
            time.sleep(0.1)

    def _histories(self) -> list[Path]:
        return [self.folder / f"history-{worker.number:03}" for worker in self.workers]

    # Processes

    def hire(self) -> Worker:
        """One more worker. The first ones, and the very first at least, meet nodes as they are, without networks."""
        number, self._number = self._number, self._number + 1
        direct = number < max(1, self.terms.observers)
        proxies = {} if direct else self._lay_networks(number)
        spec = self.spec(proxies) | {"writer": number, "seed": self.terms.seed * MAX_WORKERS + number}
        if number < self.terms.observers:
            spec["weights"] = OBSERVE
        worker = Worker(number, self.python("worker", spec), proxies)
        self.workers.append(worker)
        return worker

    def _lay_networks(self, number: int) -> Networks:
        """Between a process and each node, there may be trouble."""
        addresses = self.terms.location or [node.address for node in self.nodes]
        seed = self.terms.seed * 1000 + number
        return {address: self._stack.enter_context(FaultProxy(address, seed=seed)) for address in addresses}

    def dismiss(self, worker: Worker) -> None:
        """Kill -9."""
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.wait()  # Its networks stay: some fault may still have to be mended there.

    def order(self, worker: Worker, order: Order) -> None:
        self.truth.cells[ORDERS + worker.number] = order

    def spec(self, networks: Networks) -> dict[str, Any]:
        """What a process of the arena, that has these networks, has to know."""
        terms = self.terms
        return {
            "folder": str(self.folder),
            "location": self.location,
            "options": terms.options,
            "rate": terms.rate,
            "slow_loader": terms.slow_loader,
            "slow_loads": terms.slow_loads,
            "zipf": terms.zipf,
            "drift": terms.drift,
            "weights": terms.weights,
            "bug": terms.bug,
            "remap": {address: proxy.address for address, proxy in networks.items()},
        }

    def python(self, module: str, spec: dict[str, Any]) -> subprocess.Popen[bytes]:
        with (self.folder / "stderr").open("ab") as stderr:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", f"{__package__}.{module}", json.dumps(spec)],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def stop(self) -> None:
        """Every worker ends what it is doing."""
        self.truth.cells[STOP] = 1
        for worker in self.workers:
            worker.thaw()
        for worker in self.workers:
            try:
                worker.process.wait(20)
            except subprocess.TimeoutExpired:
                pass

    def sweep(self) -> None:
        """Take our keys away from nodes that are not ours."""
        for name in own_names(self.truth):
            self.fleet.run(write, {name: None})

    def _end_workers(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
