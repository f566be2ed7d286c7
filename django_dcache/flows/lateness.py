"""What a process did late, by its own clock, because it stood still: stopped, paused with its machine, busy, or sending
for longer than a timeout. One rule for all of it, whichever way the round took:

A round that left or was answered after its deadline counts if a majority of the keepers holds, *after* its last reply,
the very state that it was decided by. Others stop counting on a view only after they have changed it; as long as it is
unchanged, late is as good as in time. If it has changed, each reply of the round is as good as lost.
"""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from ..commands import Get, Reply, Value
from ..errors import NodeFailure, NodeTimeout
from ..model.state import state_key
from ..model.view import View
from . import Flow, Load, Result, Urgent, Wait
from .majorities import majority
from .steps import carried


class Late(dict[str, Sequence[Reply | NodeFailure]]):
    """The replies to a round that left, or whose last reply came, after its deadline."""


def confirmed(view: View, flow: Flow[Result]) -> Flow[Result]:
    """`flow`, decided by `view`, whose late rounds count only while the view holds."""

    def carry(step: Any) -> Flow[Any]:
        nonlocal view
        answer = yield step
        if isinstance(step, Load):
            view = answer[1]
        elif isinstance(step, Wait):
            view = answer or view
        elif isinstance(answer, Late) and not _about_state(view, step) and not (yield from holds(view)):
            return {
                node: [
                    reply if isinstance(reply, NodeFailure) else NodeTimeout("too late", node=node) for reply in said
                ]
                for node, said in answer.items()
            }
        return answer

    return carried(flow, carry)


def holds(view: View) -> Flow[bool]:
    """Whether a majority of the keepers holds just this state, now."""
    state = view.state
    question = [Get(state_key(view.fleet), value=False)]
    replies = yield Urgent(dict.fromkeys(state.topology.all_keepers, question))
    digest = crc32(state.encode())
    same = {name for name, (reply,) in replies.items() if isinstance(reply, Value) and reply.flags == digest}
    return view.epoch > 0 and majority(state.topology, same)


def _about_state(view: View, step: Any) -> bool:
    """What is written to the keepers is compared and swapped: it needs no other proof."""
    key = state_key(view.fleet)
    return all(getattr(command, "name", b"") == key for commands in step.values() for command in commands)
