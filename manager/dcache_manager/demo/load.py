"""One load process: customers who look at prices, and a shopkeeper who changes them, over HTTP.

    python -m dcache_manager.demo.load URL EDGE COUNTERS PRODUCTS PROCESSES NUMBER

EDGE: an address at which product pages are kept; empty if there is none.
First it looks at its share of the products once, so that they are cached; then it continues until its parent is gone.
"""

import json
import os
import random
import re
import sys
import time
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPMessage
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .load_counters import COUNTS, SCALE, LoadCounters

PAGES, WRITES = 0.03, 0.005
"""Of all requests: pages, and changes of a price. The rest ask for an offer."""
THINK = 0.004  # seconds between an answer and the next request
STAY = 40  # requests on one connection; then another one, so that every worker of the site serves every process
PATIENCE = 10.0  # seconds
POPULAR = 50
"""Products whose pages are asked of the edge."""
LATE, OLD = 1.0, 10.0
"""Seconds after a change of the price by which the edge should have dropped a page, and by which it must have."""
_revision = re.compile(rb'data-revision="(\d+)"').search


class Changed(NamedTuple):
    """A page at the edge that has to be looked at."""

    due: float
    product: int
    revision: int
    since: float


class Door:
    """Requests to one address, on a connection that is kept for a while."""

    def __init__(self, url: str):
        self._place = urlsplit(url).netloc
        self._connection: HTTPConnection | None = None
        self._asked = 0

    def ask(self, method: str, path: str, body: str | None) -> tuple[HTTPMessage, bytes] | None:
        """The headers and the body of a 200. Raises OSError, HTTPException."""
        if self._asked % STAY == 0:
            self.close()
        if self._connection is None:
            self._connection = HTTPConnection(self._place, timeout=PATIENCE)
        self._asked += 1
        self._connection.request(method, path, body)
        with self._connection.getresponse() as response:
            content = response.read()
            if response.status == 200:
                return response.headers, content
            print(f"{method} {path}: {response.status}", file=sys.stderr, flush=True)
            return None

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class Load:
    """What process `number` of `counters.processes` asks of a site, and what it must never see."""

    def __init__(self, url: str, edge: str, counters: LoadCounters, number: int, chance: random.Random):
        self._site, self._edge = Door(url), Door(edge) if edge else None
        self._board, self._chance = counters, chance
        self._row = counters.row(number)
        self._own = range(1 + number, counters.products + 1, counters.processes)
        self._changed: deque[Changed] = deque()

    def warm_up(self) -> None:
        for product in self._own:
            self._read(product)
        self._count("warm")

    def step(self) -> None:
        dice = self._chance.random()
        if self._changed and self._changed[0].due <= time.monotonic():
            self._look_again(self._changed.popleft())
        elif dice < WRITES:
            self._write(self._chance.choice(self._own))
        elif dice < WRITES + PAGES:
            if self._edge and dice < WRITES + PAGES / 2:
                self._page(self._chance.randint(1, min(POPULAR, self._board.products)))
            else:
                self._ask("GET", self._chance.choice(["/", f"/products/{self._any()}/"]))
        else:
            self._read(self._any())

    def _any(self) -> int:
        return self._chance.randint(1, self._board.products)

    def _read(self, product: int) -> None:
        floor = self._board.floors[product]  # before the request leaves: what was acknowledged by now must be seen
        answer = self._ask("GET", f"/api/products/{product}")
        if answer is None:
            return
        headers, body = answer
        self._count("hits" if headers.get("Cache-Status", "").endswith("hit") else "misses")
        if json.loads(body)["revision"] < floor:
            self._count("stale")

    def _write(self, product: int) -> None:
        if self._edge:
            self._page(product)  # so that there is something to purge
        price = {"price": f"{self._chance.randint(10, 99)}.{self._chance.randint(10, 99)}"}
        answer = self._ask("POST", f"/api/products/{product}/price", json.dumps(price))
        if answer is not None:
            self._count("writes")
            self._board.floors[product] = revision = json.loads(answer[1])["revision"]
            if self._edge:
                now = time.monotonic()
                self._changed.append(Changed(now + LATE, product, revision, now))

    def _page(self, product: int) -> int | None:
        """The revision that the edge shows."""
        answer = self._ask("GET", f"/products/{product}/", at=self._edge)
        if answer is None:
            return None
        headers, body = answer
        self._count("pages")
        if " " in headers.get("X-Varnish", ""):  # the request that brought the page, too
            self._count("kept")
        found = _revision(body)
        return int(found[1]) if found else None

    def _look_again(self, changed: Changed) -> None:
        first = changed.due == changed.since + LATE
        seen = self._page(changed.product)
        if first:
            self._count("changed")
        if seen is not None and seen >= changed.revision:
            return
        if first:
            self._count("late")
        if (now := time.monotonic()) < changed.since + OLD:
            self._changed.append(changed._replace(due=now + LATE))
        else:
            self._count("old")

    def _ask(
        self, method: str, path: str, body: str | None = None, at: Door | None = None
    ) -> tuple[HTTPMessage, bytes] | None:
        """Headers and body; None for anything but a 200, which is counted as an error."""
        door = at or self._site
        began = time.monotonic()
        try:
            answer = door.ask(method, path, body)
        except (OSError, HTTPException) as error:
            print(f"{method} {path}: {error!r}", file=sys.stderr, flush=True)
            door.close()
            answer = None
        self._count("requests")
        self._time(time.monotonic() - began)
        if answer is None:
            self._count("errors")
        return answer

    def _count(self, what: str) -> None:
        self._row[COUNTS.index(what)] += 1

    def _time(self, seconds: float) -> None:
        step = next((step for step, bound in enumerate(SCALE) if seconds <= bound), len(SCALE) - 1)
        self._row[len(COUNTS) + step] += 1


def main(url: str, edge: str, path: str, products: str, processes: str, number: str) -> None:
    parent = os.getppid()
    counters = LoadCounters(Path(path), int(products), int(processes))
    load = Load(url, edge, counters, int(number), random.Random(int(number)))
    load.warm_up()
    while os.getppid() == parent:
        load.step()
        time.sleep(THINK)


if __name__ == "__main__":
    main(*sys.argv[1:])
