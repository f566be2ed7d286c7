"""dcache-admin invalidate: make values unreadable, in every region; and the log of that."""

from typing import TYPE_CHECKING

import click

from ...rebalance.service import confirm
from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices

if TYPE_CHECKING:
    from django_dcache.invalidation import Order

version_option = click.option("--version", type=int, metavar="N", help="The version of the keys; default: the alias's.")


@click.group("invalidate", cls=Noun)
def command() -> None:
    """Make cached values unreadable, here and in every other region."""


@command.command("key")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@version_option
@pass_choices
def key(choices: Choices, keys: tuple[str, ...], version: int | None) -> int:
    """Keys, as the application's code names them."""
    alias = _alias(choices)
    from django_dcache.invalidation import of_keys

    return _carry_out(choices, of_keys(alias, keys, version))


@command.command("prefix")
@click.argument("prefix")
@version_option
@pass_choices
def prefix(choices: Choices, prefix: str, version: int | None) -> int:
    """Every key that begins with PREFIX.

    Lists the keys of all nodes, unless PREFIX is in OPTIONS["prefixes"].
    """
    alias = _alias(choices)
    from django_dcache.invalidation import of_prefix

    return _carry_out(choices, of_prefix(alias, prefix, version))


@command.command("all")
@version_option
@pass_choices
def everything(choices: Choices, version: int | None) -> int:
    """Every key of the alias, of one version. What others keep on the same fleet stays."""
    alias = _alias(choices)
    from django_dcache.invalidation import of_prefix

    order = of_prefix(alias, "", version)
    confirm(choices, f"Make every key unreadable that begins with {order.made[0]!r}, in every region?")
    return _carry_out(choices, order)


@command.command("log")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N entries.")
@pass_choices
def log(choices: Choices, limit: int) -> int:
    """The last invalidations, and which regions have applied them.

    Exit 3 if one has not reached every region yet.
    """
    alias = _alias(choices)
    from ...invalidation.history import columns, entries
    from ..output import Answer, write

    items = entries(alias, limit)
    answer = Answer("invalidations", items, alias=alias)
    answer.title = "" if items else "Nothing was invalidated."
    write(answer, columns, choices)
    return Exit.OK if all(item["applied"] == item["regions"] for item in items) else Exit.PARTIAL


def _alias(choices: Choices) -> str:
    """The alias meant, in a project that is set up: models can be imported only then. Raises ConfigurationError."""
    from django_dcache.errors import ConfigurationError

    from ...inspection.target import find

    target = find(choices)
    if target.wanted is not None:
        from django.apps import apps

        if apps.is_installed("dcache_manager"):
            return target.alias
    raise ConfigurationError("this needs --settings of a project with dcache_manager in INSTALLED_APPS")


def _carry_out(choices: Choices, order: "Order") -> int:
    """Here and now, elsewhere by message. Exit 3 if something may still be read here."""
    from ...invalidation import log as invalidation
    from ...settings import regions
    from ..output import Answer, write

    known, number = regions(), None
    if known:
        number = invalidation.write(order, known)
    done = invalidation.carry_out(order)
    if known and number is not None:
        if done:
            invalidation.acknowledge(number, known.here)
        invalidation.tell(number, known.others)
    item = {"kind": order.kind, "made": order.made, "done": done, "number": number}
    answer = Answer("invalidate", [item], alias=order.alias)
    answer.title = (
        "Done" if done else "Not all of it could be made unreadable: a node did not answer, or keys are moving"
    )
    answer.title += f" here; entry {number} of the log." if known else "."
    write(answer, [], choices)
    return Exit.OK if done else Exit.PARTIAL
