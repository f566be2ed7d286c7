"""`adopt`: from another backend to this one, as answers."""

from django.conf import settings

from ...adoption import plan as plans
from ...adoption import service
from ...errors import NotPossible
from ...inspection.target import Target
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, write

option_columns = [Column("option", "OPTION"), Column("now", "WHAT BECOMES OF IT")]
_STEPS = """\
1. Write this, and deploy it process by process: old and new ones share every value and counter on the way.
2. Once the last old process is gone: `dcache-admin adopt finish`.
3. Then `dcache-admin rebalance run {move}` changes the fleet while it serves.
Until step 2 the way back is the old entry, and nothing is lost."""


def plan(choices: Choices, alias: str) -> int:
    if alias not in settings.CACHES:
        raise NotPossible(f"CACHES has no {alias!r}; it has {', '.join(settings.CACHES)}")
    made = plans.plan(alias, settings.CACHES[alias])
    answer = Answer("adoption-plan", made.remarks, alias=alias, more={"entry": made.entry})
    answer.title = made.code
    answer.errors = [{"error": "NotPossible", "message": obstacle} for obstacle in made.obstacles]
    if not made.obstacles:
        alone = made.entry["OPTIONS"]["coexist"] in ("redis", "django-redis")
        answer.next_steps = _STEPS.format(move="--add redis://…" if alone else "--ring ketama").splitlines()
    write(answer, option_columns, choices)
    return Exit.PARTIAL if made.obstacles else Exit.OK


def status(choices: Choices, target: Target) -> int:
    _write(choices, target, service.status(target))
    return Exit.OK


def finish(choices: Choices, target: Target) -> int:
    now = service.status(target)
    if now.coexists:
        choices.confirm(
            f"Is the last process with the old backend ({now.coexist}) gone, on every machine? One that is left would "
            "read what others are about to store as empty values, and may serve what was deleted."
        )
    _write(choices, target, service.finish(target))
    return Exit.OK


def _write(choices: Choices, target: Target, now: service.Status) -> None:
    answer = Answer("adoption", [now.to_json()], alias=target.alias, epoch=now.epoch)
    if now.apart:
        answer.title = f"{target.alias}: was there before, and shares nothing with {now.coexist}; {now.ring} ring."
        answer.next_steps = ['Next: give it a name as OPTIONS["fleet"] that was never used on these nodes.']
    elif now.coexists:
        answer.title = f"{target.alias}: shares its nodes with processes of {now.coexist}; {now.ring} ring."
        answer.next_steps = ["Next: once the last of them is gone, `dcache-admin adopt finish`."]
    elif now.coexist:
        answer.title = f"{target.alias}: no process of {now.coexist} is left; {now.ring} ring."
        move = "" if now.ring == "ketama" else "`dcache-admin rebalance run --ring ketama`, and "
        answer.next_steps = [f"Next: {move}leave 'coexist' out of OPTIONS once old values have expired."]
    else:
        answer.title = f"{target.alias}: shares its nodes with no other backend; {now.ring} ring."
    write(answer, [], choices)
