"""Who does a job, or a step of one: one worker at a time, known by a fencing token (tables `Job` and `Step`).

Claiming counts the token up. Whoever was at it before finds at its next sign of life that its token is old, and stops.
Nothing breaks if it does not: what a step does can be done twice. Claims save work, they do not make it safe.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils.timezone import now

from django_dcache.errors import DCacheError

from ..models import Job, Step
from . import owner

PATIENCE = timedelta(seconds=30)
"""How long after its last sign of life a holder is given up; on its own machine it is once its process is gone."""


class ClaimLost(DCacheError):
    """Another worker has taken this over."""


class Claim:
    """The right to work on a row. `checkpoint` says how far it has come."""

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
    """The claim to `row`, which was read just now; None if somebody alive holds it, or was quicker."""
    if row.holder and not owner.dead_here(row.holder) and clock() - row.heard < PATIENCE:
        return None
    mine = owner.new()
    changed = _held(row).update(token=F("token") + 1, holder=mine, heard=clock())
    if not changed:
        return None
    row.token, row.holder = row.token + 1, mine
    return Claim(row, clock)


def _held(row: Job | Step) -> Any:
    return type(row).objects.filter(pk=row.pk, token=row.token)
