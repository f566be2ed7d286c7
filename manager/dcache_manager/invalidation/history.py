"""The log of invalidations, as rows."""

from typing import Any

from django.db import DatabaseError

from ..errors import NotInstalled, NotPossible
from ..models import Invalidation
from ..settings import regions
from .redaction import shown


def entries(alias: str, limit: int) -> list[dict[str, Any]]:
    """The last entries for an alias, the newest first. Raises ConfigurationError."""
    known = regions()
    if known is None:
        raise NotPossible('nothing is logged: settings have no DCACHE = {"REGION": …, "REGIONS": […]}')
    try:
        found = list(Invalidation.objects.filter(alias=alias).prefetch_related("acknowledgements")[:limit])
    except DatabaseError as error:
        raise NotInstalled(f"the log can't be read: {error}") from None
    return [_item(entry, known.expected(entry.kind)) for entry in found]


def _item(entry: Invalidation, everywhere: tuple[str, ...]) -> dict[str, Any]:
    applied = {row.region for row in entry.acknowledgements.all() if row.applied}
    missing = [] if entry.settled else [region for region in everywhere if region not in applied]
    return {
        "number": entry.pk,
        "created": entry.created.astimezone().isoformat(timespec="seconds"),
        "kind": entry.kind,
        "made": [shown(entry.alias, key) for key in entry.made],
        "region": entry.region,
        "applied": len(everywhere) - len(missing),
        "regions": len(everywhere),
        "acknowledged": f"{len(everywhere) - len(missing)}/{len(everywhere)}",
        "missing": missing,
    }
