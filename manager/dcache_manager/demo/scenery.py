"""What the acts are played in: three nodes, the shop on them, entries, and load. Whatever is started here ends here."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django_dcache.conf import parse
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet

from . import entries
from .board import Board
from .site import CannotPlay, Site, find_project, running
from .stage import Stage

PROCESSES = 4
PRODUCTS = 1000
STARTUP = 60.0  # seconds


@dataclass
class Scenery:
    nodes: LocalFleet
    site: Site
    fleet: Fleet
    """The door to the nodes, for this process."""
    board: Board
    load: "list[subprocess.Popen[bytes]]"

    @property
    def crashed(self) -> int:
        """Load processes that ended by themselves."""
        return sum(process.poll() is not None for process in self.load)

    def last_words(self) -> str:
        """What the site and the load complained about last."""
        logs = (self.site.folder / "load.log", self.site.log)
        return "\n".join(line for log in logs for line in log.read_text(errors="replace").splitlines()[-20:])


@contextmanager
def built(stage: Stage, password: str) -> Iterator[Scenery]:
    """`password`: of the shop's customer. Raises CannotPlay."""
    project = find_project()
    with _unwinding(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dcache-demo-")))

        stage.act("Three memcached nodes")
        nodes = stack.enter_context(LocalFleet(3, memory=128))
        stage.say(", ".join(nodes.addresses))

        stage.act(f"A shop with {PRODUCTS:,} products, which caches on them")
        site = Site(project, folder, nodes.addresses)
        site.manage("seed", f"--products={PRODUCTS}", f"--password={password}")
        stack.enter_context(site.serving())
        stack.enter_context(site.working())
        stage.say(f"{site.url}, four gunicorn workers; a Celery worker, which gets its messages as files")

        stage.act(f"{entries.COUNT:,} more entries on the nodes")
        fleet = Fleet(parse("default", nodes.addresses))
        entries.store(fleet)
        stage.say(f"{entries.SMALLEST} B to {entries.LARGEST // 1000} kB each; all of them will be looked for later")

        stage.act(f"Load: {PROCESSES} processes, over HTTP")
        board = Board(folder / "board", PRODUCTS, PROCESSES)
        scenery = Scenery(nodes, site, fleet, board, [])
        said = stack.enter_context((folder / "load.log").open("ab"))
        for number in range(PROCESSES):
            program = ("-m", "dcache_manager.demo.load", site.url, board.path, PRODUCTS, PROCESSES, number)
            load = running(*map(str, program), env=site.environment, stderr=said)
            scenery.load.append(stack.enter_context(load))
        stage.watch(STARTUP, lambda: "looking at every product once", until=lambda: board.tally().warm == PROCESSES)
        if board.tally().warm < PROCESSES:
            raise CannotPlay(f"the site does not answer, or not fast enough:\n{scenery.last_words()}")
        stage.say("they look at prices and change some; whoever looks after a change must see it")
        yield scenery


@contextmanager
def _unwinding() -> Iterator[None]:
    """A polite request to end, or a closed terminal, unwinds like an exception: everything started is ended."""

    asked = (signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, frame: object) -> None:
        for each in asked:
            signal.signal(each, signal.SIG_IGN)  # asked twice, or the ending itself would be broken off
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
