"""What a check found."""

from typing import Literal, NamedTuple

Verdict = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """`node`: None if it is about the whole fleet. `fix`: what to do about it."""

    check: str
    node: str | None
    verdict: Verdict
    detail: str
    fix: str = ""
