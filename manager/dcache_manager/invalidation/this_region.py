"""Carrying out an invalidation on the fleet of this region, with no log of it: a project without our tables can too."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from django.core.cache import caches

from django_dcache.errors import TooManyPrefixes
from django_dcache.invalidation import SINGLE, Order, immediate
from django_dcache.invalidation import carry_out as at_once

from .prefix_sweep import Swept, sweep
from .redaction import shown

log = logging.getLogger("dcache_manager")


class Published(NamedTuple):
    """What became of an order here."""

    number: int | None
    """Of its entry in the log, if there is one."""
    done: bool
    """Whether no reader here can get any of it now."""
    keys: int | None
    """How many it was about, of a prefix those that were found; None where none had to be found."""


def just_here(order: Order) -> Published:
    """Carry `order` out, also a sweep, and tell no other region."""
    swept = Swept()
    done = carry_out(order, swept=swept)
    keys = len(order.made) if order.kind in SINGLE else swept.keys
    return Published(None, done, keys or (None if immediate(order) else 0))


def carry_out(order: Order, tick: Callable[[], None] = lambda: None, swept: Swept | None = None) -> bool:
    """Do it on the fleet of this region; whether no reader can get any of it now. `swept` is told what a sweep did."""
    swept = Swept() if swept is None else swept
    if immediate(order):
        try:
            return at_once(order)
        except TooManyPrefixes as error:
            log.error("%s Cache %r is swept instead.", error, order.alias, extra={"action": "too_many_prefixes"})
    sweep(caches[order.alias].fleet, order.made[0], tick, swept)
    if not swept.complete:
        log.warning(
            "The sweep of %r on cache %r is not complete: %s",
            shown(order.alias, order.made[0]),
            order.alias,
            swept,
            extra={"action": "sweep_incomplete", "alias": order.alias},
        )
    return swept.complete
