"""A flow whose steps something else carries: what stands between a flow and its driver."""

from collections.abc import Callable
from typing import Any

from . import Flow, Result, Step


def carried(flow: Flow[Result], carry: Callable[[Step], Flow[Any]]) -> Flow[Result]:
    """`flow`, each step by `carry`: what that returns is sent to the flow, and what it raises is thrown into it."""
    resume, answer = flow.send, None
    while True:
        try:
            step = resume(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        try:
            resume, answer = flow.send, (yield from carry(step))
        except BaseException as error:
            resume, answer = flow.throw, error
