"""Which keys the requests of a route read: learned from what they have read, told before they read it.

A route has templates of keys. Each is judged by how often a request of the route read the key that it makes; lately,
since what is older counts half. What is likely is foretold, the likeliest first, until too many bytes would be in vain.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
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
COST_SECONDS = 0.0005
"""What it takes to foretell keys and to keep what was fetched, beyond reading them one by one: what is saved has to be
worth that. Where nodes are near, a page of few keys is not."""
WATCHED, THEN_EVERY = 30, 8
"""The first requests of a route are learned from, and then a few: ever fewer while they read what was foretold."""
AT_LEAST_EVERY, IF_IT_DOES_NOT_PAY = 64, 1024
IDLE_REQUESTS, THEN_ONE_IN = 1024, 4
"""After that many requests on routes that do not pay, a process looks at one in a few, and the others cost next to
nothing. So a route that pays and is asked for more seldom than that goes without a prefetch now and then."""

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
        """Those whose keys are likely, if fetching them together saves a round."""
        self.rounds_saved = 0.0
        """In a request, on average."""
        self._learn_at, self._every = 0, THEN_EVERY

    def begins(self) -> bool:
        """A request begins: whether to learn from it."""
        self.requests += 1
        return self.requests >= self._learn_at

    def learn(
        self,
        values: Values,
        reads: Mapping[str, float],
        fetched: Mapping[str, int],
        head: str,
        round_seconds: float,
    ) -> None:
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
        before, self.foretold = self.foretold, self._choose()
        foreseen = {fill(template, values) for template in self.foretold}
        steady = not foreseen ^ {key for key, part in reads.items() if part} if self.foretold else not before
        most = AT_LEAST_EVERY if self.pays(round_seconds) else IF_IT_DOES_NOT_PAY
        self._every = min(2 * self._every, most) if steady else THEN_EVERY
        self._learn_at = self.requests + (1 if self.requests < WATCHED else self._every)

    def pays(self, round_seconds: float) -> bool:
        """Whether it does where a round takes so long."""
        return bool(self.foretold) and self.rounds_saved * round_seconds >= COST_SECONDS

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
        self.rounds_saved = calls - 1  # One is there in any case.
        return tuple(chosen) if self.rounds_saved >= WORTH_ROUNDS else ()


class Recent(OrderedDict[Hashable, Value]):
    """What was put there lately; the oldest leaves first."""

    def __init__(self, most: int):
        super().__init__()
        self._most = most

    def put(self, key: Hashable, value: Value) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class Attention:
    """Which requests of a process are looked at."""

    def __init__(self) -> None:
        self._since_one_paid = 0

    def looks(self) -> bool:
        """A request begins: whether to look at it."""
        self._since_one_paid = count = self._since_one_paid + 1
        return count <= IDLE_REQUESTS or count % THEN_ONE_IN == 0

    def paid(self) -> None:
        """Foretelling its keys pays for a request."""
        self._since_one_paid = 0


class Learner:
    """The routes of one cache. One thread may learn at a time; any may have keys foretold meanwhile."""

    def __init__(self, head: str = ""):
        self.head = head
        self.users: Recent[str] = Recent(MOST_USERS)
        """The user of a session: before it is read, it is a guess."""
        self.round_seconds = float("inf")
        """What a round takes, lately."""
        self._routes: Recent[Route] = Recent(MOST_ROUTES)

    def begins(self, route: Hashable) -> tuple[bool, bool]:
        """A request of this route begins: whether to learn from it, and whether it pays to foretell its keys."""
        known = self._routes.get(route)
        if known is None:
            return True, False
        return known.begins(), known.pays(self.round_seconds)

    def took(self, seconds: float) -> None:
        """A round with foretold keys took the nodes so long."""
        before = self.round_seconds
        self.round_seconds = seconds if before == float("inf") else before + (seconds - before) / 8

    def foretell(self, route: Hashable, values: Values) -> list[str]:
        """The keys that a request with these values will read, as far as fetching them together saves a round."""
        known = self._routes.get(route)
        keys = [fill(template, values) for template in known.foretold] if known else ()
        return [key for key in keys if key is not None]

    def learn(self, route: Hashable, values: Values, reads: Mapping[str, float], fetched: Mapping[str, int]) -> None:
        """Such a request has read these keys; see `Route.learn`."""
        known = self._routes.get(route) or Route()
        self._routes.put(route, known)
        known.learn(values, reads, fetched, self.head, self.round_seconds)
