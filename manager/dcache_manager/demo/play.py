"""The acts: a site on three nodes; a fourth one joins, one dies and comes back."""

import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django_dcache.errors import DCacheError

from . import entries
from .board import Tally
from .facts import Facts, percent
from .operator import Operator
from .scenery import Scenery, built
from .stage import GLANCE, Stage

SETTLING = 3.0
"""Seconds until as many products wait for their first look after a change as ever will."""
ENOUGH = 1500
"""Reads in an act, for one miss more or less to be no news. A slow machine gets up to three times as long for them."""
FULL = 0.03
"""How far from what it was before the hit ratio may be, for a node that lost everything to count as full again."""
RECOVERY = 15.0
"""Seconds this may take. A node that is back is noticed by a probe: up to eight seconds."""
FOR_EVER = float("inf")


class Play:
    """One performance. `pause`: seconds for which each act is looked at."""

    scenery: Scenery
    operator: Operator

    def __init__(self, stage: Stage, pause: float):
        self._stage, self._pause = stage, pause
        self._password = secrets.token_urlsafe(9)
        self._recent: deque[Tally] = deque(maxlen=round(2 / GLANCE))

    def once(self) -> Facts:
        """Every act. Raises CannotPlay, and DCacheError for what goes wrong on the way."""
        with self._open():
            return self._acts()

    def on_and_on(self) -> Facts:
        """Every act, with visitors; then the load goes on until Ctrl-C."""
        with self._open():
            self._invite()
            facts = self._acts()
            self._stage.act("That was it. The load goes on until Ctrl-C")
            with suppress(KeyboardInterrupt):
                self._stage.watch(FOR_EVER, self._figures)
            return facts

    @contextmanager
    def _open(self) -> Iterator[None]:
        with built(self._stage, self._password) as self.scenery:
            self.operator = Operator(self.scenery.site, self._stage, self._figures)
            try:
                yield
            except DCacheError:
                self._stage.aside(self.scenery.last_words())
                raise

    def _invite(self) -> None:
        site = self.scenery.site
        account = ("--username=admin", "--email=admin@localhost")
        site.manage("createsuperuser", "--noinput", *account, DJANGO_SUPERUSER_PASSWORD=self._password)
        self._stage.act("Come and see")
        self._stage.say(site.url)
        self._stage.say(f"{site.url}/admin/   name admin, password {self._password}, for this once")
        self._stage.say(f"dcache-admin --nodes {','.join(self.scenery.nodes.addresses)} status --watch")

    # The acts

    def _acts(self) -> Facts:
        nodes, board, fleet = self.scenery.nodes, self.scenery.board, self.scenery.fleet
        self._stage.watch(SETTLING, self._figures)
        start = board.tally()

        self._stage.act("Three nodes under load")
        before = self._observe()

        newcomer = nodes.add()
        self._stage.act(f"A fourth one joins: dcache-admin rebalance run --add {newcomer.address} --runner celery")
        first_epoch, opening = fleet.proven_view().epoch, board.tally()
        resize = self.operator.run("rebalance", "run", "--add", newcomer.address, "--runner", "celery", "--yes")
        during = self._seen_since(opening)
        lost = entries.lost(fleet)
        self._stage.say(f"{entries.COUNT - lost:,} of {entries.COUNT:,} entries are there, unchanged")

        self._stage.act("Four nodes under load")
        after = self._observe()
        status = self.operator.run("status")["items"]

        victim = nodes.nodes[1]
        self._stage.act(f"{victim.address} is killed, and nobody is told")
        victim.kill()
        dead = self._observe()

        self._stage.act(f"{victim.address} is started again, empty")
        opening = board.tally()
        victim.start()
        full = before.hit_ratio - FULL
        self._stage.watch(RECOVERY, self._figures, until=lambda: self._lately().hit_ratio >= full)
        recovery = board.tally().since(opening).seconds
        self._stage.say(f"{recovery:.0f} s later the hit ratio is {percent(self._lately().hit_ratio)}")

        facts = Facts(
            before=before,
            during=during,
            after=after,
            dead=dead,
            back=self._lately(),
            recovery=recovery,
            whole=board.tally().since(start),
            resize=resize["items"][0],
            nodes=status,
            epochs=(first_epoch, resize["epoch"]),
            entries=entries.COUNT,
            lost=lost,
            crashed=self.scenery.crashed,
        )
        if facts.broken:
            self._stage.aside(self.scenery.last_words())
        return facts

    def _observe(self) -> Tally:
        """What the load sees while we look."""
        board = self.scenery.board
        opening = board.tally()
        self._stage.watch(self._pause, self._figures)
        self._stage.watch(2 * self._pause, self._figures, until=lambda: board.tally().since(opening).reads >= ENOUGH)
        return self._seen_since(opening)

    def _seen_since(self, opening: Tally) -> Tally:
        seen = self.scenery.board.tally().since(opening)
        figures = (
            f"{seen.rate:,.0f} requests/s",
            f"hit ratio {percent(seen.hit_ratio)}",
            f"{seen.stale} stale reads",
            f"{seen.errors} errors",
        )
        self._stage.say(", ".join(figures))
        return seen

    def _lately(self) -> Tally:
        """The last two seconds, as far as they were watched."""
        return self.scenery.board.tally().since(self._recent[0])

    def _figures(self) -> str:
        """For the bottom line of a terminal."""
        self._recent.append(now := self.scenery.board.tally())
        seen = self._lately()
        figures = (
            f"{seen.rate:,.0f} requests/s",
            f"hit ratio {percent(seen.hit_ratio)}",
            f"{now.stale} stale reads and {now.errors} errors in all",
        )
        return ", ".join(figures)
