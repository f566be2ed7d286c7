"""`invalidate`: carried out here, told to the other regions, and the log of it."""

from django.apps import apps

from django_dcache.invalidation import Order, of_keys, of_prefix, of_tags

from ...errors import NotInstalled
from ...formatting import age, count, names
from ...inspection.fleet_report import look
from ...inspection.target import Target
from ...invalidation import this_region
from ...settings import regions
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, write


def _made(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"


log_columns = [
    Column("number", "NUMBER", right=True),
    Column("created", "AGE", age, right=True),
    Column("kind", "KIND"),
    Column("made", "WHAT", _made),
    Column("region", "FROM"),
    Column("acknowledged", "REGIONS"),
    Column("missing", "MISSING", names),
]


def keys(choices: Choices, alias: str, wanted: tuple[str, ...], version: int | None) -> int:
    return _carry_out(choices, of_keys(alias, wanted, version))


def tags(choices: Choices, alias: str, wanted: tuple[str, ...]) -> int:
    return _carry_out(choices, of_tags(alias, wanted))


def prefix(choices: Choices, target: Target, wanted: str, version: int | None) -> int:
    """Asks for the empty one, which is everything: `"$PREFIX"` may be empty by mistake."""
    order = of_prefix(target.alias, wanted, version)
    if not wanted:
        items = sum(row["items"] or 0 for row in look(target, choices.timeout).rows())
        choices.confirm(
            f"Make every key unreadable that begins with {order.made[0]!r}, in every region? "
            f"Nodes hold {count(items)} items, of this and other aliases."
        )
    return _carry_out(choices, order)


def show_log(choices: Choices, alias: str, limit: int) -> int:
    from ...invalidation.history import entries  # Late: a project without dcache_manager has no models.

    items = entries(alias, limit)
    answer = Answer("invalidations", items, alias=alias)
    answer.title = "" if items else "Nothing was invalidated."
    write(answer, log_columns, choices)
    return Exit.OK if all(item["applied"] == item["regions"] for item in items) else Exit.PARTIAL


def _published(order: Order) -> this_region.Published:
    """Raises NotInstalled where other regions would have to be told, and no log could tell them."""
    if apps.is_installed("dcache_manager"):
        from ...invalidation import log  # Late, as above.

        return log.publish(order)
    if regions():
        raise NotInstalled("DCACHE names regions, which hear of an invalidation by its tables")
    return this_region.just_here(order)


def _carry_out(choices: Choices, order: Order) -> int:
    """Here and now, elsewhere by message. Exit 3 if something may still be read here."""
    said = _published(order)
    item = {"kind": order.kind, "made": order.made} | said._asdict()
    answer = Answer("invalidate", [item], alias=order.alias)
    thing = "tag" if order.kind == "tags" else "key"
    what = "all keys below it, at once" if said.keys is None else f"{count(said.keys)} {thing}{'s' * (said.keys != 1)}"
    answer.title = (
        f"Done: {what}" if said.done else f"Not all of it ({what}): a node did not answer, or keys are moving"
    )
    answer.title += f" here; entry {said.number} of the log." if regions() else "."
    write(answer, [], choices)
    return Exit.OK if said.done else Exit.PARTIAL
