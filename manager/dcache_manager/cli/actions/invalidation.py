"""`invalidate`: carried out here, told to the other regions, and the log of it."""

from django_dcache.invalidation import Order, of_keys, of_prefix

from ...formatting import age, names
from ...invalidation import log
from ...invalidation.history import entries
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


def prefix(choices: Choices, alias: str, wanted: str, version: int | None) -> int:
    return _carry_out(choices, of_prefix(alias, wanted, version))


def everything(choices: Choices, alias: str, version: int | None) -> int:
    order = of_prefix(alias, "", version)
    choices.confirm(f"Make every key unreadable that begins with {order.made[0]!r}, in every region?")
    return _carry_out(choices, order)


def show_log(choices: Choices, alias: str, limit: int) -> int:
    items = entries(alias, limit)
    answer = Answer("invalidations", items, alias=alias)
    answer.title = "" if items else "Nothing was invalidated."
    write(answer, log_columns, choices)
    return Exit.OK if all(item["applied"] == item["regions"] for item in items) else Exit.PARTIAL


def _carry_out(choices: Choices, order: Order) -> int:
    """Here and now, elsewhere by message. Exit 3 if something may still be read here."""
    number, done = log.publish(order)
    item = {"kind": order.kind, "made": order.made, "done": done, "number": number}
    answer = Answer("invalidate", [item], alias=order.alias)
    answer.title = (
        "Done" if done else "Not all of it could be made unreadable: a node did not answer, or keys are moving"
    )
    answer.title += f" here; entry {number} of the log." if regions() else "."
    write(answer, [], choices)
    return Exit.OK if done else Exit.PARTIAL
