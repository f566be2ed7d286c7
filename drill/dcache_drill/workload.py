"""What one process of a site does to its cache, drawn from a seed."""

from bisect import bisect
from collections.abc import Mapping
from functools import partial
from itertools import accumulate
from random import Random
from time import monotonic, sleep
from typing import Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.backends.cache import SessionStore

from .client import MISSING, Client, names
from .ground_truth import SESSIONS, SIZES, Family, GroundTruth, key_name, key_number, session_key
from .history import Kind, Outcome
from .plan import WEIGHTS
from .tags import TagActions

LIFE_BITS = 32
"""A counter that was lost begins its next life 2^32 higher, so that no number is ever right twice."""
VERSION_BITS = 20
"""A session's cell holds its number and, in its lowest bits, its version."""
TAG = "tag"
_READ = (Family.REGISTER, Family.ROW, Family.TAGGED)
STRIDE = 7
"""By how many keys the drift moves the hot ones: so that no key is hot again soon."""


class Workload(TagActions):
    """`step()` does one thing. Values of `cells` are the truth; what was asked and answered goes to the history."""

    def __init__(self, client: Client, truth: GroundTruth, chance: Random, spec: Mapping[str, Any]):
        self._client, self._cache, self._truth, self._chance = client, client.cache, truth, chance
        self._slow, self._slow_loads, self._drift = spec["slow_loader"], spec["slow_loads"], spec["drift"]
        self._actions = [getattr(self, f"_{name}") for name in WEIGHTS]
        self._weights = list(accumulate((WEIGHTS | spec["weights"]).values()))
        self._ranks = {
            family: list(accumulate(1 / rank ** spec["zipf"] for rank in range(1, size + 1)))
            for family, size in SIZES.items()
        }

    def step(self) -> None:
        self._actions[bisect(self._weights, self._chance.random() * self._weights[-1])]()

    def _key(self, family: Family) -> tuple[int, int]:
        """A key of the family, some far more often than others, and its cell."""
        ranks = self._ranks[family]
        number = bisect(ranks, self._chance.random() * ranks[-1])
        if self._drift:  # For all processes at once: they share the clock.
            number = (number + int(monotonic() / self._drift) * STRIDE) % len(ranks)
        return key_number(family, number), self._truth.cell(family, number)

    def _keys(self, family: Family) -> dict[int, int]:
        return dict(self._key(family) for _ in range(self._chance.randint(2, 12)))

    def _timeout(self) -> float | None:
        return self._chance.choice((None, 300, 600, 86400, 40 * 86400))

    # Registers

    def _get(self) -> None:
        key, cell = self._key(self._chance.choice(_READ))
        self._client.saw(key, cell, self._client.call(self._cache.get, key_name(key)))

    def _set(self) -> None:
        key, cell = self._key(Family.REGISTER)
        version = self._truth.issue(cell)
        done = self._client.call(self._cache.set, key_name(key), self._client.value(key, version), self._timeout())
        self._client.wrote(key, version, done is True)

    def _add(self) -> None:
        key, cell = self._key(Family.REGISTER)
        version = self._truth.issue(cell)
        done = self._client.call(self._cache.add, key_name(key), self._client.value(key, version), self._timeout())
        if done is False and self._client.outcome is Outcome.OK:
            self._client.tried()  # There is a value: nothing was written, and nothing failed.
        else:
            self._client.wrote(key, version, done is True)

    def _delete(self) -> None:
        key, cell = self._key(Family.REGISTER)
        version = self._truth.issue(cell)
        self._client.call(self._cache.delete, key_name(key))
        self._client.removed(key, version)

    def _touch(self) -> None:
        key, _ = self._key(Family.REGISTER)
        self._client.call(self._cache.touch, key_name(key), self._timeout())
        self._client.tried()

    def _get_many(self) -> None:
        keys = self._keys(self._chance.choice(_READ))
        found = self._client.call(self._cache.get_many, list(names(keys)))
        for key, cell in keys.items():
            self._client.saw(key, cell, found.get(key_name(key)) if found is not MISSING else MISSING)

    def _set_many(self) -> None:
        versions = {key: self._truth.issue(cell) for key, cell in self._keys(Family.REGISTER).items()}
        values = {key_name(key): self._client.value(key, version) for key, version in versions.items()}
        failed = self._client.call(self._cache.set_many, values, self._timeout())
        whole = self._client.outcome
        for key, version in versions.items():
            done = failed is not MISSING and key_name(key) not in failed
            # The call's outcome is the worst of all keys; a key that is not among the failed ones is done.
            self._client.outcome = Outcome.OK if done and whole is not Outcome.UNPROVEN else whole
            self._client.wrote(key, version, done)

    def _delete_many(self) -> None:
        versions = {key: self._truth.issue(cell) for key, cell in self._keys(Family.REGISTER).items()}
        self._client.call(self._cache.delete_many, list(names(versions)))
        for key, version in versions.items():
            self._client.removed(key, version)

    # Rows

    def _commit(self) -> None:
        key, cell = self._key(Family.ROW)
        version = self._truth.issue(cell)
        if self._chance.random() < 0.2:
            self._client.call(self._cache.delete_many, [key_name(key)])
        else:
            self._client.call(self._cache.delete, key_name(key))
        self._client.removed(key, version)

    def _load(self) -> None:
        self._load_row(*self._key(Family.ROW))

    def _load_row(self, key: int, cell: int, **conditions: Any) -> None:
        loading = 0.0

        def load() -> Any:
            nonlocal loading
            began = monotonic()
            value = self._client.value(key, self._truth.cells[cell])
            luck = self._chance.random()
            share = luck / self._slow_loads
            if share < 10:
                sleep(self._slow * (1.0 if share < 0.1 else 0.15 if share < 1 else 0.004) * self._chance.random())
            loading = monotonic() - began
            return value

        value = self._client.call(partial(self._cache.get_or_set, **conditions), key_name(key), load, self._timeout())
        self._client.loading = loading
        self._client.saw(key, cell, MISSING if loading else value)

    # Counters

    def _count(self) -> None:
        key, cell = self._key(Family.COUNTER)
        step = self._cache.decr if key & 1 else self._cache.incr
        number = self._client.call(step, key_name(key), expected=(ValueError,))
        if number is not MISSING:
            self._client.record(Kind.COUNT, self._client.outcome, key, number)
            return
        self._client.record(Kind.COUNT, self._client.outcome, key, 0)
        life = self._truth.issue(cell)
        self._client.call(self._cache.add, key_name(key), (life << LIFE_BITS) + (1 << LIFE_BITS - 1), None)
        self._client.tried()

    def _look_at_counter(self) -> None:
        key, _ = self._key(Family.COUNTER)
        number = self._client.call(self._cache.get, key_name(key))
        self._client.record(Kind.READ, self._client.outcome, key, number if isinstance(number, int) else 0)

    # Sessions

    def _session(self) -> tuple[int, int, int]:
        """(slot's cell, session's number, its version) of a present or the last session."""
        _, cell = self._key(Family.SESSION)
        return cell, *divmod(self._truth.cells[cell], 1 << VERSION_BITS)

    def _log_in(self) -> None:
        _, cell = self._key(Family.SESSION)
        number = self._truth.issue(SESSIONS)
        with self._truth.locked(cell):
            self._truth.cells[cell] = (number << VERSION_BITS) + 1
        key, store = key_number(Family.SESSION, number), SessionStore()
        store[TAG] = self._client.value(key, 1)
        store._session_key = session_key(number)  # with a key from the start it would look for an old session first
        self._client.call(store.save, True, expected=(CreateError,))
        self._client.wrote(key, 1)

    def _save_session(self) -> None:
        cell, number, _ = self._session()
        value = self._truth.issue(cell)
        key, version, store = (
            key_number(Family.SESSION, number),
            value % (1 << VERSION_BITS),
            SessionStore(session_key(number)),
        )
        if value >> VERSION_BITS != number:
            return  # Another worker has begun a session here in between.

        def save() -> bool:
            store[TAG] = self._client.value(key, version)
            if alive := store.session_key is not None:
                store.save()
            return alive

        alive = self._client.call(save, expected=(UpdateError,))
        self._client.wrote(key, version, alive is True)

    def _log_out(self) -> None:
        cell, number, _ = self._session()
        value = self._truth.issue(cell)
        if value >> VERSION_BITS == number:
            self._client.call(SessionStore(session_key(number)).delete)
            self._client.removed(key_number(Family.SESSION, number), value % (1 << VERSION_BITS))

    def _load_session(self) -> None:
        _, number, version = self._session()
        if version:
            loaded = self._client.call(SessionStore(session_key(number)).load)
            value = loaded.get(TAG) if isinstance(loaded, dict) else MISSING
            self._client.saw(key_number(Family.SESSION, number), None, value)
