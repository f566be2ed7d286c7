"""What the demo runs on: three nodes, the shop on them, entries and load. All that is started here ends here."""

import secrets
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

from . import edge, entries
from .load_counters import LoadCounters
from .narration import Narration
from .site import CannotRun, Site, find_project, python

OPTIONS = {"replicas": 2}
"""Of the shop's cache: a dead node costs no hits."""
PROCESSES = 4
PRODUCTS = 1000
WARM_UP_SECONDS = 60.0


@dataclass
class Environment:
    nodes: LocalFleet
    site: Site
    fleet: Fleet
    """The nodes as this process uses them."""
    counters: LoadCounters
    load: "list[subprocess.Popen[bytes]]"
    edge: str
    """The address of a Varnish before the site; empty if there is none."""

    @property
    def crashed(self) -> int:
        """Load processes that ended by themselves."""
        return sum(process.poll() is not None for process in self.load)

    def last_words(self) -> str:
        """What the site and the load complained about last."""
        logs = (self.site.folder / "load.log", self.site.log)
        return "\n".join(line for log in logs for line in log.read_text(errors="replace").splitlines()[-20:])


@contextmanager
def built(narration: Narration, password: str) -> Iterator[Environment]:
    """`password`: of the shop's customer. Raises CannotRun."""
    project = find_project()
    with _unwinding(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dcache-demo-")))

        narration.heading("Three memcached nodes")
        nodes = stack.enter_context(LocalFleet(3, memory=128))
        narration.say(", ".join(nodes.addresses))

        narration.heading(f"A shop with {PRODUCTS:,} products caches on them, with two copies of each key")
        # The same secret for the site and for this process: each believes the map of the fleet that the other signed.
        options = {**OPTIONS, "secret": secrets.token_urlsafe()}
        site = Site(project, folder, nodes.addresses, options)
        listener = stack.enter_context(site.listening())
        front = _edge(site, stack, narration)
        site.manage("seed", f"--products={PRODUCTS}", f"--password={password}")
        stack.enter_context(site.serving(listener))
        stack.enter_context(site.working())
        narration.say(f"{site.url}, four gunicorn workers; a Celery worker, which gets its messages as files")

        narration.heading(f"{entries.COUNT:,} more entries on the nodes")
        fleet = Fleet(parse("default", nodes.addresses, options))
        entries.store(fleet)
        narration.say(
            f"{entries.SMALLEST} B to {entries.LARGEST // 1000} kB each; all of them will be looked for later"
        )

        narration.heading(f"Load: {PROCESSES} processes, over HTTP")
        counters = LoadCounters(folder / "counters", PRODUCTS, PROCESSES)
        environment = Environment(nodes, site, fleet, counters, [], front)
        said = stack.enter_context((folder / "load.log").open("ab"))
        for number in range(PROCESSES):
            program = ("-m", "dcache_manager.demo.load", site.url, front, counters.path, PRODUCTS, PROCESSES, number)
            load = python(*map(str, program), env=site.variables, stderr=said)
            environment.load.append(stack.enter_context(load))
        narration.watch(
            WARM_UP_SECONDS, lambda: "looking at every product once", until=lambda: counters.sample().warm == PROCESSES
        )
        if counters.sample().warm < PROCESSES:
            raise CannotRun(f"the site does not answer, or not fast enough:\n{environment.last_words()}")
        narration.say("they read prices and change some; every reader must see a change once it was acknowledged")
        yield environment


def _edge(site: Site, stack: ExitStack, narration: Narration) -> str:
    """The address of a Varnish before the site; empty, and said, where there can be none."""
    if not edge.installed():
        narration.say(f"No edge before it: {edge.HOW_TO_GET_IT}")
        return ""
    try:
        front = stack.enter_context(edge.varnish(site.url, site.folder))
    except CannotRun as error:
        narration.say(f"No edge before it: {error}")
        return ""
    site.stands_behind(front)
    narration.say(f"{front}, a Varnish before it, which keeps product pages until a price changes")
    return front


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
