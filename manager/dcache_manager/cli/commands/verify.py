"""dcache-admin verify: do the copies agree?"""

import time

import click

from ...rebalance.service import confirm
from ..exit_codes import Exit
from ..options import Choices, Verb, pass_choices


@click.command("verify", cls=Verb)
@click.option("--repair", is_flag=True, help="Delete copies that differ and copies where they do not belong.")
@click.option("--sample", type=click.IntRange(1), default=1, metavar="N", help="Look at one key in N (by its hash).")
@pass_choices
def command(choices: Choices, repair: bool, sample: int) -> int:
    """Compare what the replicas of each key hold.

    Exit 3 if something is wrong and was not repaired.
    """
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ...inspection.verify import Verification
    from ..output import Answer, write

    target = find(choices)
    if repair:
        confirm(choices, "Delete all copies that differ, and all copies on nodes that are no replica of their key?")
    found = Verification(target.fleet(), time.sleep).run(repair, sample)
    answer = Answer.about(look(target, choices.timeout), "verify", [found.to_json()])
    answer.title = (
        f"{found.keys} keys, {found.copies} copies: {found.divergent} keys differ, "
        f"{sum(found.missing.values())} copies missing, {sum(found.strays.values())} strays, {found.repaired} repaired"
    )
    write(answer, [], choices)
    for name in found.silent:
        choices.note(f"{name} could not be compared: it does not list its keys, or does not answer.")
    for name, number in found.missing.items():
        choices.note(f"{name} lacks {number} copies; `node down {name}` and `node up {name}` fill it again.")
    return Exit.OK if found.clean or (repair and not found.silent) else Exit.PARTIAL
