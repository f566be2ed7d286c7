"""Nodes that are alive and far slower than their peers: not failed, but not to be read from while there is a choice."""

from collections.abc import Mapping
from statistics import median

TIMES = 10.0
"""How many times slower than the median of the others a node has to be."""
FLOOR = 0.005
"""Seconds below which no node is slow."""
WEIGHT = 0.2
"""Of the newest answer in the running mean."""
FORGIVENESS = 0.9
"""What an avoided node's mean is multiplied with at each look: without being asked it can't show that it is well."""


def mean(before: float, seconds: float) -> float:
    """The running mean after one more answer; 0 stands for no answer yet."""
    return before + (seconds - before) * WEIGHT if before else seconds


def slow(means: Mapping[str, float]) -> frozenset[str]:
    """The names of the nodes to avoid."""
    found = set()
    for name, seconds in means.items():
        others = [value for other, value in means.items() if other != name and value]
        if others and seconds > FLOOR and seconds > TIMES * median(others):
            found.add(name)
    return frozenset(found)
