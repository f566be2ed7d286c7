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
from django_dcache.model.topology import Node
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy, LocalIgnite, LocalNode, LocalRedis
from django_dcache.testing.fleet import ENGINES

from .checker import Violation
from .ground_truth import INSTRUCTIONS, MAX_WORKERS, STOP, GroundTruth, Instruction, own_names
from .history import read
from .monitor import NodeMonitor
from .plan import ALIAS, READ_ONLY, Plan

Networks = Mapping[str, FaultProxy]
"""Between one process and each node, by the node's address."""


@dataclass
class Worker:
    """A process of the site and its networks."""

    number: int
    process: subprocess.Popen[bytes]
    proxies: Networks = field(default_factory=dict)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Testbed:
    """`with Testbed(plan, folder) as testbed`: everything runs. Ends only what it started."""

    def __init__(self, plan: Plan, folder: Path):
        self.plan, self.folder = plan, folder
        self.truth = GroundTruth(folder / "truth")
        self.workers: list[Worker] = []
        self.complaints: list[Violation] = []
        """What faults found out themselves."""
        self._stack = ExitStack()
        self._number = 0
        self._held: set[str] = set()
        self.conductors: Networks = {}
        """Of the process that leads a resize."""
        self.excused, self.ill = False, set[int]()
        """What the present phase breaks: see `Phase`."""

    def __enter__(self) -> "Testbed":
        plan = self.plan
        with self._stack:
            self._stack.callback(self.truth.close)
            self.nodes = [] if plan.location else self._start_nodes()
            addresses = list(plan.location) or [node.address for node in self.nodes[: plan.nodes]]
            self.location = [{"name": f"n{number}", "address": address} for number, address in enumerate(addresses)]
            self.fleet = Fleet(self.configuration)
            self._stack.callback(lambda: self.fleet.close())
            self.conductors = self._lay_networks(MAX_WORKERS)
            networks = {address: proxy.address for address, proxy in self._lay_networks(MAX_WORKERS + 1).items()}
            self.monitor = NodeMonitor(self.configuration, networks)
            self.monitor.start()
            self._stack.callback(self.monitor.close)
            self._stack.callback(self._end_workers)
            for _ in range(plan.workers):
                self.start_worker()
            self.await_work()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_nodes(self) -> list[LocalNode] | list[LocalRedis] | list[LocalIgnite]:
        plan = self.plan
        kind, usual = ENGINES[plan.engine], {"memory": plan.memory_mb}
        of_each: list[dict[str, Any]] = [dict(usual) for _ in range(plan.nodes + plan.spares)]
        for number, terms in enumerate(of_each):
            if plan.engine == "memcached":
                # What a hung node does when it wakes shows fully only on one of several threads.
                terms |= {"threads": 1 if number else 4, "extra": ("-c", "256")}
            elif plan.engine == "ignite":
                terms["disk"] = bool(number % 2)  # These come back with what they held.
            else:
                terms["extra"] = ("--maxclients", "256")
        nodes = [kind(**terms) for terms in of_each]
        for node in nodes:
            self._stack.callback(node.close)
            node.launch()
        for node in nodes:
            node.await_ready()
        return nodes

    @property
    def configuration(self) -> Configuration:
        return parse(ALIAS, self.location, self.plan.options)

    def node(self, name: str) -> LocalNode | LocalRedis | LocalIgnite:
        return self.nodes[int(name.removeprefix("n"))]

    def serving(self) -> list[str]:
        """Names of the nodes that are in the fleet at present, as far as it is known here."""
        return list(self.fleet.proven_view().state.topology.nodes)

    def settle_location(self) -> None:
        """Processes that start from now on have the present nodes in LOCATION, as after a deployment."""
        self.location = [{"name": name, "address": self.node(name).address} for name in self.serving()]

    def forget_fleet(self) -> None:
        """What the testbed itself knows of the fleet is what a process knows that has just started."""
        self.fleet.close()
        self.fleet = Fleet(self.configuration)

    def spare(self) -> list[str]:
        """Names of the nodes that are not."""
        names, serving = [f"n{number}" for number in range(len(self.nodes))], self.serving()
        return [name for name in names if name not in serving]

    @contextmanager
    def holding(self, chance: Random) -> Iterator[str]:
        """The name of a node that serves, and that no other fault has taken: it is about to fall ill."""
        name = chance.choice([name for name in self.serving() if name not in self._held])
        with self.holding_all([name]):
            yield name

    @contextmanager
    def holding_all(self, names: Sequence[str]) -> Iterator[None]:
        new = set(names) - self._held
        self._held |= new
        self.excused = True
        try:
            yield
        finally:
            self._held -= new

    def endpoint(self, name: str) -> tuple[str, int]:
        host, _, port = self.node(name).endpoint.rpartition(":")
        return host, int(port)

    def complain(self, invariant: str, text: str) -> None:
        self.complaints.append(Violation(invariant, text, time.monotonic()))

    def networks(self, name: str, workers: Sequence[Worker] | None = None) -> Iterator[FaultProxy]:
        """Between the node and each of the workers (all, by default) that has one: it is about to be broken."""
        if workers is None:
            self.excused = True
        else:
            self.ill.update(worker.number for worker in workers)
        address = self.plan.location[int(name.removeprefix("n"))] if self.plan.location else self.node(name).address
        for worker in self.workers if workers is None else workers:
            if address in worker.proxies:
                yield worker.proxies[address]

    def networked(self) -> list[Worker]:
        """The workers whose networks can be broken."""
        return [worker for worker in self.workers if worker.proxies]

    def await_work(self, seconds: float = 60.0) -> None:
        """Until every worker has recorded something."""
        give_up = time.monotonic() + seconds
        while not all(any(True for _ in read(path)) for path in self._histories()):
            if time.monotonic() > give_up or any(worker.process.poll() is not None for worker in self.workers):
                raise RuntimeError(f"workers did not begin: {(self.folder / 'stderr').read_text()}")
            time.sleep(0.1)

    def _histories(self) -> list[Path]:
        return [self.folder / f"history-{worker.number:03}" for worker in self.workers]

    # Processes

    def start_worker(self, seconds: float | None = None) -> Worker:
        """One more worker, which ends by itself after `seconds`.

        The first ones, the very first at least, and those that end soon meet nodes as they are, without networks.
        """
        number, self._number = self._number, self._number + 1
        direct = number < max(1, self.plan.readers) or seconds is not None
        proxies = {} if direct else self._lay_networks(number)
        spec = self.spec(proxies) | {"writer": number, "seed": self.plan.seed * MAX_WORKERS + number}
        spec["seconds"] = seconds
        if self.plan.reads_only(number):
            spec |= {"weights": READ_ONLY, "rate": self.plan.reading_rate}
        worker = Worker(number, self.python("worker", spec), proxies)
        self.workers.append(worker)
        return worker

    def _lay_networks(self, number: int) -> Networks:
        """A network of its own between process `number` and each node, for faults to break."""
        addresses = self.plan.location or [node.address for node in self.nodes]
        seed = self.plan.seed * 1000 + number
        return {node.address: self._stack.enter_context(_network(node, seed)) for node in map(Node.at, addresses)}

    def kill_worker(self, worker: Worker) -> None:
        """SIGKILL, at whatever it was doing: a write of which no history tells."""
        self.excused = True
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.wait()  # Its networks stay: some fault may still have to be mended there.

    def await_end(self, worker: Worker, seconds: float = 20.0) -> None:
        """Until a worker with little time has ended by itself; killed after `seconds`."""
        try:
            worker.process.wait(seconds)
            self.workers.remove(worker)
        except subprocess.TimeoutExpired:
            self.kill_worker(worker)

    def instruct(self, worker: Worker, instruction: Instruction) -> None:
        self.truth.cells[INSTRUCTIONS + worker.number] = instruction

    def spec(self, networks: Networks) -> dict[str, Any]:
        """What a process of the testbed with these networks is told when it starts."""
        plan = self.plan
        return {
            "folder": str(self.folder),
            "location": self.location,
            "options": plan.options,
            "rate": plan.rate,
            "slow_loader": plan.slow_loader,
            "slow_loads": plan.slow_loads,
            "zipf": plan.zipf,
            "drift": plan.drift,
            "weights": plan.weights,
            "plugin": plan.plugin,
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


def _network(node: Node, seed: int) -> FaultProxy:
    return FaultProxy(":".join(map(str, node.endpoints[0])), seed=seed, framed=node.engine == "ignite")
