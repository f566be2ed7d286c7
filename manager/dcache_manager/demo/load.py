"""One load process: customers who look at prices, and a shopkeeper who changes them, over HTTP.

    python -m dcache_manager.demo.load URL BOARD PRODUCTS PROCESSES NUMBER

First it looks at its share of the products once, so that they are cached; then it continues until its parent is gone.
"""

import json
import os
import random
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from .load_counters import COUNTS, SCALE, LoadCounters

PAGES, WRITES = 0.03, 0.005
"""Of all requests: pages, and changes of a price. The rest ask for an offer."""
THINK = 0.004  # seconds between an answer and the next request
STAY = 40  # requests on one connection; then another one, so that every worker of the site serves every process
PATIENCE = 10.0  # seconds


class Load:
    """What process `number` of `counters.processes` asks of a site, and what it must never see."""

    def __init__(self, url: str, counters: LoadCounters, number: int, chance: random.Random):
        self._place, self._board, self._number, self._chance = urlsplit(url).netloc, counters, number, chance
        self._row = counters.row(number)
        self._connection: HTTPConnection | None = None
        self._asked = 0
        self._own = range(1 + number, counters.products + 1, counters.processes)

    def warm_up(self) -> None:
        for product in self._own:
            self._read(product)
        self._count("warm")

    def step(self) -> None:
        dice = self._chance.random()
        if dice < WRITES:
            self._write(self._chance.choice(self._own))
        elif dice < WRITES + PAGES:
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
        status, body = answer
        self._count("hits" if status.endswith("hit") else "misses")
        if json.loads(body)["revision"] < floor:
            self._count("stale")

    def _write(self, product: int) -> None:
        price = {"price": f"{self._chance.randint(10, 99)}.{self._chance.randint(10, 99)}"}
        answer = self._ask("POST", f"/api/products/{product}/price", json.dumps(price))
        if answer is not None:
            self._count("writes")
            self._board.floors[product] = json.loads(answer[1])["revision"]

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[str, bytes] | None:
        """(cache status, body); None for anything but a 200, which is counted as an error."""
        began = time.monotonic()
        try:
            answer = self._exchange(method, path, body)
        except (OSError, HTTPException) as error:
            print(f"{method} {path}: {error!r}", file=sys.stderr, flush=True)
            self._hang_up()
            answer = None
        self._count("requests")
        self._time(time.monotonic() - began)
        if answer is None:
            self._count("errors")
        return answer

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[str, bytes] | None:
        if self._asked % STAY == 0:
            self._hang_up()
        if self._connection is None:
            self._connection = HTTPConnection(self._place, timeout=PATIENCE)
        self._asked += 1
        self._connection.request(method, path, body)
        with self._connection.getresponse() as response:
            content = response.read()
            if response.status == 200:
                return response.headers.get("Cache-Status", ""), content
            print(f"{method} {path}: {response.status}", file=sys.stderr, flush=True)
            return None

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _count(self, what: str) -> None:
        self._row[COUNTS.index(what)] += 1

    def _time(self, seconds: float) -> None:
        step = next((step for step, bound in enumerate(SCALE) if seconds <= bound), len(SCALE) - 1)
        self._row[len(COUNTS) + step] += 1


def main(url: str, path: str, products: str, processes: str, number: str) -> None:
    parent = os.getppid()
    load = Load(url, LoadCounters(Path(path), int(products), int(processes)), int(number), random.Random(int(number)))
    load.warm_up()
    while os.getppid() == parent:
        load.step()
        time.sleep(THINK)


if __name__ == "__main__":
    main(*sys.argv[1:])
