"""Looking at a resize that somebody leads, and telling them what to do; or leading it to its end, if nobody does."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .exits import Exit
from .options import Choices

if TYPE_CHECKING:
    from .sighting import Sighting

_words = {"run": "go on", "cancel": "go back"}


def show(choices: Choices, sighting: "Sighting") -> int:
    """Answer with how far the resize has come."""
    from .bar import describe
    from .render import Answer, write

    item = state(sighting)
    answer = Answer.about(sighting, "rebalance", [item])
    if sighting.progress:
        answer.title = describe(replace(sighting.progress, state=item["state"]))
    else:
        answer.title = f"{item['state']}: epoch {answer.epoch}, {answer.phase}"
    write(answer, [], choices)
    return Exit.PARTIAL if answer.errors or item["state"] == "interrupted" else Exit.OK


def state(sighting: "Sighting") -> dict[str, Any]:
    """The last report, as far as it is true: what a conductor that was killed said last is not."""
    progress, moving = sighting.progress, sighting.topology.target is not None
    item: dict[str, Any] = progress.to_json() if progress else {}
    said = item.get("state", "idle")
    if moving and not sighting.conductor:
        said = "interrupted"
    elif moving and said in ("idle", "done", "cancelled", "failed"):
        said = "running"
    elif not moving and not sighting.conductor and said not in ("done", "cancelled", "failed"):
        said = "idle"
    return item | {"state": said, "phase": str(sighting.topology.phase), "conductor": sighting.conductor}


def steer(choices: Choices, wish: str) -> int:
    """Tell the conductor to "run", "pause" or "cancel". Without one, carry on or go back from here."""
    from django_dcache.errors import Conflict

    from .conductor import control
    from .resize import conduct
    from .sighting import look
    from .target import find

    target = find(choices)
    fleet = target.fleet()
    sighting = look(target, choices.timeout, resize=True)
    layout = sighting.topology.target
    if layout is None and not sighting.conductor:
        choices.note("Nothing is being moved.")
        return show(choices, sighting)
    if sighting.conductor:
        control(fleet, wish)
    if layout is not None and wish != "pause":
        try:
            # A conductor that was killed may still seem to hold its lease: this waits until it has run out.
            conduct(choices, target, (lambda c: c.cancel()) if wish == "cancel" else (lambda c: c.run(layout)))
        except Conflict:
            choices.note(f"{sighting.conductor} leads this resize, and was asked to {_words[wish]}.")
    return show(choices, look(target, choices.timeout, resize=True))
