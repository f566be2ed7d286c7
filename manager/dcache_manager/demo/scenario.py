"""What happens: a site on three nodes under load; a fourth node joins, one dies and comes back."""

import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django_dcache.errors import DCacheError

from . import entries
from .environment import Environment, built
from .load_counters import LoadSample
from .narration import REFRESH_SECONDS, Narration
from .operator import Operator
from .results import Results, percent

SETTLING_SECONDS = 3.0
"""Until as many products wait for their first reader after a change as ever will."""
ENOUGH_READS = 1500
"""For one miss more or less not to matter. A slow machine gets up to three times as long for them."""
FULL = 0.03
"""How far from what it was before the hit ratio may be, for a node that lost everything to count as full again."""
RECOVERY_SECONDS = 15.0
"""This may take. A node that is back is noticed by a probe: up to eight seconds."""
FOR_EVER = float("inf")


class Scenario:
    """One run. `pause`: seconds for which each step is watched."""

    environment: Environment
    operator: Operator

    def __init__(self, narration: Narration, pause: float):
        self._narration, self._pause = narration, pause
        self._password = secrets.token_urlsafe(9)
        self._recent: deque[LoadSample] = deque(maxlen=round(2 / REFRESH_SECONDS))

    def once(self) -> Results:
        """Every step, once. Raises CannotRun, and DCacheError for what goes wrong on the way."""
        with self._open():
            return self._steps()

    def until_interrupted(self) -> Results:
        """Every step, with an address to visit; then the load continues until Ctrl-C."""
        with self._open():
            self._invite()
            results = self._steps()
            self._narration.heading("Done. The load continues until Ctrl-C")
            with suppress(KeyboardInterrupt):
                self._narration.watch(FOR_EVER, self._figures)
            return results

    @contextmanager
    def _open(self) -> Iterator[None]:
        with built(self._narration, self._password) as self.environment:
            self.operator = Operator(self.environment.site, self._narration, self._figures)
            try:
                yield
            except DCacheError:
                self._narration.quote(self.environment.last_words())
                raise

    def _invite(self) -> None:
        site = self.environment.site
        account = ("--username=admin", "--email=admin@localhost")
        site.manage("createsuperuser", "--noinput", *account, DJANGO_SUPERUSER_PASSWORD=self._password)
        self._narration.heading("Open these")
        self._narration.say(site.url)
        if self.environment.edge:
            self._narration.say(f"{self.environment.edge}   the same through Varnish")
        self._narration.say(f"{site.url}/admin/   name admin, password {self._password}, for this once")
        self._narration.say(f"dcache-admin --nodes {','.join(self.environment.nodes.addresses)} status --watch")

    def _steps(self) -> Results:
        nodes, counters, fleet = self.environment.nodes, self.environment.counters, self.environment.fleet
        self._narration.watch(SETTLING_SECONDS, self._figures)
        start = counters.sample()

        self._narration.heading("Three nodes under load")
        before = self._observe()

        newcomer = nodes.add()
        self._narration.heading(
            f"A fourth one joins: dcache-admin rebalance run --add {newcomer.address} --runner celery"
        )
        first_epoch, opening = fleet.proven_view().epoch, counters.sample()
        resize = self.operator.run("rebalance", "run", "--add", newcomer.address, "--runner", "celery", "--yes")
        during = self._seen_since(opening)
        lost = entries.lost(fleet)
        self._narration.say(f"{entries.COUNT - lost:,} of {entries.COUNT:,} entries are there, unchanged")

        self._narration.heading("Four nodes under load")
        after = self._observe()
        status = self.operator.run("status")["items"]

        victim = nodes.nodes[1]
        self._narration.heading(f"{victim.address} is killed; no command is run")
        victim.kill()
        dead = self._observe()

        self._narration.heading(f"{victim.address} is started again, empty")
        opening = counters.sample()
        victim.start()
        full = before.hit_ratio - FULL
        self._narration.watch(RECOVERY_SECONDS, self._figures, until=lambda: self._lately().hit_ratio >= full)
        recovery = counters.sample().since(opening).seconds
        self._narration.say(f"{recovery:.0f} s later the hit ratio is {percent(self._lately().hit_ratio)}")

        results = Results(
            before=before,
            during=during,
            after=after,
            dead=dead,
            back=self._lately(),
            recovery=recovery,
            whole=counters.sample().since(start),
            resize=resize["items"][0],
            nodes=status,
            epochs=(first_epoch, resize["epoch"]),
            entries=entries.COUNT,
            lost=lost,
            crashed=self.environment.crashed,
            edge=self.environment.edge,
        )
        if results.broken:
            self._narration.quote(self.environment.last_words())
        return results

    def _observe(self) -> LoadSample:
        """What the load sees while we watch."""
        counters = self.environment.counters
        opening = counters.sample()
        self._narration.watch(self._pause, self._figures)
        self._narration.watch(
            2 * self._pause, self._figures, until=lambda: counters.sample().since(opening).reads >= ENOUGH_READS
        )
        return self._seen_since(opening)

    def _seen_since(self, opening: LoadSample) -> LoadSample:
        seen = self.environment.counters.sample().since(opening)
        figures = (
            f"{seen.rate:,.0f} requests/s",
            f"hit ratio {percent(seen.hit_ratio)}",
            f"{seen.stale} stale reads",
            f"{seen.errors} errors",
        )
        self._narration.say(", ".join(figures))
        return seen

    def _lately(self) -> LoadSample:
        """The last two seconds, as far as they were watched."""
        return self.environment.counters.sample().since(self._recent[0])

    def _figures(self) -> str:
        """For the bottom line of a terminal."""
        self._recent.append(now := self.environment.counters.sample())
        seen = self._lately()
        figures = (
            f"{seen.rate:,.0f} requests/s",
            f"hit ratio {percent(seen.hit_ratio)}",
            f"{now.stale} stale reads and {now.errors} errors in all",
        )
        return ", ".join(figures)
