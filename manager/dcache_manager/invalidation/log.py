"""The log of invalidations: written in the caller's transaction, applied by every region, acknowledged by each.

The log is the guarantee; a message only makes it quick (docs/adr/0008). Applying an entry twice does no harm.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.db import DatabaseError, router, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.timezone import now

from django_dcache.invalidation import SINGLE, Order, delete, immediate, made_keys

from ..edge import purging
from ..messaging import publisher
from ..models import Acknowledgement, Invalidation
from ..settings import Regions, queue, regions
from .this_region import Published, carry_out, just_here

log = logging.getLogger("dcache_manager")

TAKEOVER = timedelta(seconds=30)
"""After its last sign of life another worker takes over a sweep."""
BEAT = timedelta(seconds=5)
"""Between two such signs."""
BATCH_ENTRIES = 1000
"""That one run of catch_up looks at."""
KEPT = timedelta(days=7)
"""How long an entry stays in the log once every region has applied it."""


def record(order: Order) -> Callable[[], None]:
    """The `Recorder` of this project."""
    known = regions()
    if known is None:
        return partial(_without_log, order)
    return partial(_spread, write(order, known), order, known)


def write(order: Order, known: Regions) -> int:
    """Put `order` into the log; its number."""
    entry = Invalidation.objects.create(region=known.here, alias=order.alias, kind=order.kind, made=order.made)
    return int(entry.pk)


def publish(order: Order) -> Published:
    """Carry `order` out here and now, also a sweep, and tell the other regions."""
    known = regions()
    number = write(order, known) if known else None
    said = just_here(order)._replace(number=number)
    if known and number is not None:
        if said.done:
            acknowledge(number, known.here)
            purging.tell(number, order.kind, known)
        tell(number, known.others)
    return said


def tell(number: int, names: tuple[str, ...]) -> None:
    """Send entry `number` to regions: after the commit, for it has to be there when the message is."""
    # A region whose queue can't be told finds the entry in the log.
    sent = partial(publisher.broadcast, "dcache.invalidate", number, queues=[queue(name) for name in names])
    transaction.on_commit(sent, using=router.db_for_write(Invalidation))


def apply(number: int, known: Regions) -> None:
    """Have this region apply an entry and acknowledge it, unless it did already or another worker is at it."""
    entry = Invalidation.objects.filter(pk=number).first()
    if entry is None or not _claim(entry, known.here):
        return
    last = now()

    def show_life() -> None:
        nonlocal last
        if now() - last > BEAT:
            last = now()
            _claims(number, known.here).update(begun=last)

    if carry_out(Order(entry.alias, entry.kind, entry.made), show_life):
        acknowledge(number, known.here)


def acknowledge(number: int, region: str) -> None:
    """Write down that `region` has applied the entry."""
    _acknowledge([number], region)
    _claims(number, region).update(applied=now())  # The row of a sweep is there since it was claimed.


def _acknowledge(numbers: list[int], region: str) -> None:
    moment = now()
    rows = [Acknowledgement(invalidation_id=n, region=region, begun=moment, applied=moment) for n in numbers]
    Acknowledgement.objects.bulk_create(rows, ignore_conflicts=True)


def catch_up(known: Regions) -> int:
    """Apply what this region has missed; the number of entries it looked at.

    An anti-join and no high-water mark: a transaction that began earlier may commit later, below the mark.
    """
    _settle(known)
    purging.purge_due(known)
    ours = Acknowledgement.objects.filter(invalidation=OuterRef("pk"), region=known.here)
    dealt_with = ours.filter(Q(applied__isnull=False) | Q(begun__gt=now() - TAKEOVER))
    missed = Invalidation.objects.filter(~Exists(dealt_with), settled=False).order_by("pk")
    entries = list(missed[:BATCH_ENTRIES])
    rest = [entry for entry in entries if entry.kind not in SINGLE]
    for alias in {entry.alias for entry in entries}:
        of_keys = [entry for entry in entries if entry.alias == alias and entry.kind in SINGLE]
        try:
            _apply_keys(alias, of_keys, known)
        except Exception:
            rest += of_keys
    for entry in rest:
        try:
            apply(entry.pk, known)
        except Exception:  # One bad entry, such as one for an alias that this region lacks, must not stop the others.
            log.exception("Entry %d of the log could not be applied.", entry.pk, extra={"action": "apply_failed"})
    return len(entries)


def _apply_keys(alias: str, entries: list[Invalidation], known: Regions) -> None:
    """All in one go: after an outage there may be many."""
    made = {entry.pk: made_keys(Order(alias, entry.kind, entry.made)) for entry in entries}
    if made:
        failed = set(delete(Order(alias, "keys", list(set().union(*made.values())))))
        _acknowledge([number for number, keys in made.items() if failed.isdisjoint(keys)], known.here)


def _without_log(order: Order) -> None:
    carry_out(order)


def _spread(number: int, order: Order, known: Regions) -> None:
    """After the commit: here at once (a sweep takes too long for a web request), elsewhere by message."""
    done = False
    if immediate(order):
        try:
            done = carry_out(order)
        finally:
            tell(number, known.others)
    else:
        tell(number, known.everywhere)
    if done:
        try:
            acknowledge(number, known.here)
            purging.tell(number, order.kind, known)
        except DatabaseError:
            extra = {"action": "not_acknowledged"}
            log.warning("Entry %d was applied, and will be again.", number, exc_info=True, extra=extra)


def _claims(number: int, region: str) -> QuerySet[Acknowledgement]:
    return Acknowledgement.objects.filter(invalidation_id=number, region=region, applied__isnull=True)


def _claim(entry: Invalidation, region: str) -> bool:
    """Whether this worker is the one to apply it. Only a sweep is claimed: all else is done sooner than that."""
    found = entry.acknowledgements.filter(region=region).first()
    if found and found.applied:
        return False
    if immediate(Order(entry.alias, entry.kind, entry.made)):
        return True
    moment = now()
    if found is None:
        _, ours = Acknowledgement.objects.get_or_create(
            invalidation=entry, region=region, defaults={"begun": moment, "applied": None}
        )
        return bool(ours)
    stale = bool(found.begun < moment - TAKEOVER)
    return stale and bool(_claims(entry.pk, region).filter(begun=found.begun).update(begun=moment))


def _settle(known: Regions) -> None:
    """Mark what every region has applied, so that it is not looked at again, and drop what has been so for long."""
    by = known.expected("tags")
    applied = Q(acknowledgements__applied__isnull=False, acknowledgements__region__in=by)
    counted = Invalidation.objects.filter(settled=False).annotate(regions=Count("acknowledgements", filter=applied))
    complete = Q(regions__gte=len(by)) | (~Q(kind="tags") & Q(regions__gte=len(known.everywhere)))
    done = counted.filter(complete).order_by("pk").values_list("pk", flat=True)[:BATCH_ENTRIES]
    Invalidation.objects.filter(pk__in=list(done)).update(settled=True)
    Invalidation.objects.filter(pk__in=list(old().order_by("pk").values_list("pk", flat=True)[:BATCH_ENTRIES])).delete()


def old() -> QuerySet[Invalidation]:
    """The entries that need not be kept any longer."""
    found: QuerySet[Invalidation] = Invalidation.objects.filter(settled=True, created__lt=now() - KEPT)
    return found
