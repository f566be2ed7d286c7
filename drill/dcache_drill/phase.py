"""A stretch of a drill in which one thing went on."""

from typing import NamedTuple


class Phase(NamedTuple):
    """What happened, with monotonic times: a fault has its effects until some time after its end."""

    number: int
    name: str
    began: float
    ended: float
