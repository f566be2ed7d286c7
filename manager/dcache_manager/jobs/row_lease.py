"""Which worker does a job, or a step of one: one at a time, known by a fencing token (tables `Job` and `Step`).

A claim counts the token up. The worker that held the row before finds at its next sign of life that its token is old,
and stops. Nothing breaks if it does not: what a step does can be done twice. Claims save work; they are not what makes
it safe.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils.timezone import now

from ..errors import ClaimLost
from ..models import Job, Step
from . import owner

TAKEOVER = timedelta(seconds=30)
"""After its last sign of life a holder is given up; on its own machine, once its process is gone."""


class Claim:
    """The right to work on a row."""

    def __init__(self, row: Job | Step, clock: Callable[[], datetime] = now):
        self.row, self._clock = row, clock

    def beat(self, **fields: Any) -> None:
        """Show life, and write `fields`. Raises ClaimLost."""
        for name, value in fields.items():
            setattr(self.row, name, value)
        if not _held(self.row).update(heard=self._clock(), **fields):
            raise ClaimLost(str(self.row))

    def leave(self, **fields: Any) -> None:
        """Let go of it at once, with `fields` written. Raises ClaimLost."""
        self.beat(holder="", **fields)


def claim(row: Job | Step, clock: Callable[[], datetime] = now) -> Claim | None:
    """The claim to `row`, which was read just now; None if a living worker holds it, or another was quicker."""
    if row.holder and not owner.dead_here(row.holder) and clock() - row.heard < TAKEOVER:
        return None
    mine = owner.new()
    changed = _held(row).update(token=F("token") + 1, holder=mine, heard=clock())
    if not changed:
        return None
    row.token, row.holder = row.token + 1, mine
    return Claim(row, clock)


def _held(row: Job | Step) -> Any:
    return type(row).objects.filter(pk=row.pk, token=row.token)
