"""Conductors: one in a process of its own, to be killed, and what it takes to steer one in this process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dcache_manager.rebalance.plan import edit
from django_dcache.conf import parse
from django_dcache.model.topology import Layout, Node
from django_dcache.runtime.fleet import Fleet
from support.load.processes import environment


@contextmanager
def connected(
    addresses: list[Any], options: dict[str, Any], clock: Callable[[], float] = time.monotonic
) -> Iterator[Fleet]:
    """The fleet as one more process sees it."""
    fleet = Fleet(parse("default", addresses, options), clock)
    try:
        yield fleet
    finally:
        fleet.close()


def changed(fleet: Fleet, add: Iterable[str] = (), remove: Iterable[str] = (), **changes: Any) -> Layout:
    """The fleet's layout with changes. Nodes are given as addresses."""
    topology = fleet.proven_view().state.topology
    return edit(topology.layouts[-1], [Node.at(address) for address in add], remove, **changes)


class Lead:
    """`dcache-admin rebalance run` with these arguments, once it leads, if it does; `kill -9` at the block's end."""

    def __init__(self, addresses: list[str], options: dict[str, Any], home: Path, *arguments: str):
        command = [sys.executable, "-m", "dcache_manager", "rebalance", "run", "--yes", *arguments]
        variables = {**os.environ, **environment(addresses, options), "XDG_STATE_HOME": str(home)}
        self._process = subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []

    def __enter__(self) -> "Lead":
        assert self._process.stderr
        for line in self._process.stderr:
            self.said.append(line)
            if line.startswith("running"):
                break
        return self

    def ended(self, seconds: float = 60.0) -> int | None:
        """Its exit code, as soon as it has one; None after so many seconds without."""
        try:
            self.said += self._process.communicate(timeout=seconds)[1].splitlines()
        except subprocess.TimeoutExpired:
            return None
        return self._process.returncode

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
