"""Which keys the requests of a route read: learned from what they have read, told before they read it.

A route has templates of keys. Each is judged by how often a request of the route read the key that it makes; lately,
since what is older counts half. What is likely is foretold, the likeliest first, until too many bytes would be in vain.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeVar

from .templates import Template, Values, candidates, fill

MOST_ROUTES = 500
MOST_TEMPLATES = 200
"""Of a route. While there are as many, no other is tried."""
MOST_USERS = 10_000
"""Sessions whose user is known."""
LIKELY = 0.3
"""The part of requests that read a key, from which it may be foretold."""
LEAST_RIGHT = 2
MOST_TRIES = 50
"""Then both counts are halved: what requests do now counts for more than what they did."""
IN_VAIN, TRIES_IN_VAIN = 0.2, 5
"""A template that was right less often, after that many tries, is given up."""
WASTE = 0.12
"""The part of the bytes that may be fetched in vain, on average."""
WORTH_ROUNDS = 0.5
"""Rounds saved in a request, on average, from which a prefetch pays."""
TRIALS = 2
"""How often a key is fetched before it is judged by its bytes."""
WATCHED, THEN_EVERY, IF_IT_DOES_NOT_PAY_EVERY = 30, 8, 32
"""The first requests of a route are learned from, and then a few."""

Value = TypeVar("Value")


class Score:
    """How a template has done."""

    __slots__ = ("tried", "right", "part", "fetched", "size", "vain")

    def __init__(self, part: float):
        self.tried = self.right = 1.0
        self.part = part
        """Of a call of the cache: of a key that is read by itself it is 1."""
        self.fetched = self.size = self.vain = 0.0
        """How often its key was fetched; the bytes, and those of them that were not read."""

    @property
    def likelihood(self) -> float:
        return self.right / self.tried

    def count(self, right: bool, size: int | None) -> None:
        """A request has read its key, or not; it was fetched before if `size` says so."""
        if self.tried >= MOST_TRIES:
            self.tried, self.right = self.tried / 2, self.right / 2
            self.fetched, self.size, self.vain = self.fetched / 2, self.size / 2, self.vain / 2
        self.tried += 1
        self.right += right
        if size is not None:
            self.fetched, self.size, self.vain = self.fetched + 1, self.size + size, self.vain + (0 if right else size)

    def costs(self) -> tuple[float, float]:
        """Bytes to be expected when its key is fetched, and those of them in vain. What is unlikely to be read is often
        not there either, so the likelihood alone says little: the first times cost nothing."""
        return (self.size / self.fetched, self.vain / self.fetched) if self.fetched >= TRIALS else (0.0, 0.0)


class Route:
    """What is known of the requests of one view."""

    def __init__(self) -> None:
        self.requests = 0
        self.templates: dict[Template, Score] = {}
        self.foretold: tuple[Template, ...] = ()

    def learn(self, values: Values, reads: Mapping[str, float], fetched: Mapping[str, int], head: str) -> None:
        """A request that had these values has read these keys, each by its part of a call; of those that were fetched
        before, how many bytes."""
        explained: set[str] = set()
        # The best explanation of a key gets the credit. One that is right by coincidence is judged where it is not.
        for template in sorted(self.templates, key=self._rank, reverse=True):
            key, score = fill(template, values), self.templates[template]
            if key is None or key in explained:
                continue
            right = reads.get(key, 0.0) > 0
            score.count(right, fetched.get(key))
            if right:
                explained.add(key)
                score.part += (reads[key] - score.part) / 4
            if score.tried > TRIES_IN_VAIN and score.likelihood < IN_VAIN:
                del self.templates[template]
        for key, part in reads.items():
            if part > 0 and key not in explained and len(self.templates) < MOST_TEMPLATES:
                for template in candidates(key, values, head):
                    self.templates.setdefault(template, Score(part))
        self.foretold = self._choose()

    def _rank(self, template: Template) -> tuple[float, int]:
        return self.templates[template].likelihood, len(template)

    def _choose(self) -> tuple[Template, ...]:
        chosen: list[Template] = []
        size = vain = calls = 0.0
        for template in sorted(self.templates, key=self._rank, reverse=True):
            score = self.templates[template]
            if score.right < LEAST_RIGHT or score.likelihood < LIKELY:
                continue
            more, more_vain = score.costs()
            if vain + more_vain <= WASTE * (size + more):
                size, vain = size + more, vain + more_vain
                calls += score.likelihood * score.part
                chosen.append(template)
        return tuple(chosen) if calls >= 1 + WORTH_ROUNDS else ()  # One round is there in any case.


class Recent(OrderedDict[str, Value]):
    """What was put there lately; the oldest leaves first."""

    def __init__(self, most: int):
        super().__init__()
        self._most = most

    def put(self, key: str, value: Value) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class Learner:
    """The routes of one cache. One thread may learn at a time; any may have keys foretold meanwhile."""

    def __init__(self, head: str = ""):
        self.head = head
        self.users: Recent[str] = Recent(MOST_USERS)
        """The user of a session: before it is read, it is a guess."""
        self._routes: Recent[Route] = Recent(MOST_ROUTES)

    def begins(self, route: str) -> tuple[bool, bool]:
        """A request of this route begins: whether to learn from it, and whether something can be foretold of it."""
        known = self._routes.get(route)
        if known is None:
            return True, False
        known.requests += 1
        every = THEN_EVERY if known.foretold else IF_IT_DOES_NOT_PAY_EVERY
        return known.requests <= WATCHED or known.requests % every == 0, bool(known.foretold)

    def foretell(self, route: str, values: Values) -> list[str]:
        """The keys that a request with these values will read, as far as it pays to fetch them together."""
        known = self._routes.get(route)
        keys = [fill(template, values) for template in known.foretold] if known else ()
        return [key for key in keys if key is not None]

    def learn(self, route: str, values: Values, reads: Mapping[str, float], fetched: Mapping[str, int]) -> None:
        """Such a request has read these keys; see `Route.learn`."""
        known = self._routes.get(route) or Route()
        self._routes.put(route, known)
        known.learn(values, reads, fetched, self.head)
