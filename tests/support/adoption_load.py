"""One process of a site that changes its backend, under load, and a checker that knows what each read must be.

    python -m support.adoption_load SCENE.json ROLE NUMBER     # steered by lines on stdin, answers on stdout

Each key has one writer, which counts its changes in memory that all processes share: odd while a change is under way.
A reader looks there before and after it asked. If nothing changed meanwhile it knows exactly what it had to be told.
"""

import json
import mmap
import random
import sys
from collections import Counter
from itertools import count, takewhile
from pathlib import Path
from struct import pack_into, unpack_from
from typing import Any

KEYS, COUNTERS = 200, 5
FLAG = KEYS * 8
BYTES = FLAG + 8
"""Of the shared memory: a number for each key, and whether to go on."""


def content(key: int, change: int) -> Any:
    """What is under a key after this number of changes: nothing after each fifth."""
    done = change // 2
    if done % 5 == 0:
        return None
    return [change, f"text {key} {change}", {"change": change}, [change] * (10 + key % 20)][(key + done) % 4]


class Process:
    def __init__(self, scene: dict[str, Any], role: str, number: int):
        from django.core.cache import caches

        self.cache, self.old = caches["default"], role == "old"
        with Path(scene["memory"]).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), BYTES)
        self._writes = [key for key in range(KEYS) if key % scene["processes"] == number]
        self._chance = random.Random(number)
        self.seen: Counter[str] = Counter()

    def run(self, operations: int) -> None:
        """So many operations, or (0) until the memory says that it is enough."""
        steps = (self._read, self._read, self._read_many, self._write, self._count)
        rounds = count() if operations == 0 else range(operations // len(steps))
        for _ in takewhile(lambda _: operations or not self._memory[FLAG], rounds):
            for step in steps:
                step()

    def fill(self) -> None:
        for key in self._writes:
            self._change(key)

    def _changes(self, key: int) -> int:
        return int(unpack_from("<Q", self._memory, key * 8)[0])

    def _write(self) -> None:
        self._change(self._chance.choice(self._writes))

    def _change(self, key: int) -> None:
        change = self._changes(key) + 1
        pack_into("<Q", self._memory, key * 8, change)
        value = content(key, change + 1)
        while not self._put(f"key-{key}", value):
            self.seen["repeated"] += 1
        pack_into("<Q", self._memory, key * 8, change + 1)

    def _put(self, key: str, value: Any) -> bool:
        """Whether it is known to be done."""
        failures = self._failures()
        if value is None:
            self.cache.delete(key)
        elif self.cache.set(key, value, 3600) is False and not self.old:
            return False
        return self._failures() == failures

    def _failures(self) -> int:
        """How often nodes did not answer; a classic client raises."""
        return 0 if self.old else sum(self.cache.fleet.counters.values())

    def _read(self) -> None:
        key = self._chance.randrange(KEYS)
        before, failures = self._changes(key), self._failures()
        self._judge(key, before, self.cache.get(f"key-{key}"), failures)

    def _read_many(self) -> None:
        keys = self._chance.sample(range(KEYS), 5)
        before, failures = [self._changes(key) for key in keys], self._failures()
        found = self.cache.get_many([f"key-{key}" for key in keys])
        for key, change in zip(keys, before, strict=True):
            self._judge(key, change, found.get(f"key-{key}"), failures)

    def _judge(self, key: int, before: int, found: Any, failures: int) -> None:
        if before % 2 or self._changes(key) != before:
            return
        wanted = content(key, before)
        self.seen["checked"] += 1
        if wanted is not None:
            self.seen["there"] += 1
        if found == wanted:
            return
        if found is not None:
            self.seen["stale"] += 1
        else:
            self.seen["missed" if self._failures() == failures else "unanswered"] += 1

    def _count(self) -> None:
        failures = self._failures()
        try:
            self.cache.incr(f"counter-{self._chance.randrange(COUNTERS)}")
        except ValueError:
            self.seen["uncounted" if self._failures() == failures else "perhaps_counted"] += 1
        else:
            self.seen["counted"] += 1


def configure(scene: dict[str, Any], role: str) -> None:
    import django
    from django.conf import settings

    settings.configure(CACHES={"default": scene[role]}, SECRET_KEY="adoption", INSTALLED_APPS=[], DATABASES={})
    django.setup()


def main() -> None:
    scene, role, number = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], int(sys.argv[3])
    configure(scene, role)
    process = Process(scene, role, number)
    for line in sys.stdin:
        words = line.split()
        process.seen.clear()
        if words[0] == "fill":
            process.fill()
        elif words[0] == "counters":
            for counter in range(COUNTERS):
                process.cache.add(f"counter-{counter}", 0, None)
        elif words[0] == "total":
            process.seen["total"] = sum(process.cache.get(f"counter-{counter}") for counter in range(COUNTERS))
        else:
            process.run(int(words[1]))
        print(json.dumps(process.seen), flush=True)


if __name__ == "__main__":
    main()
