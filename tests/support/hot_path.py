"""How much our code does for one operation: the lines it runs and the calls it makes. No clock is involved.

    python3.11 -m tests.support.hot_path        # writes budget.json anew; commit it together with the reason

Without the compiled extra, whose steps do not show. Later Pythons take a few steps less for the same source, so the
budget is the oldest one's.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import django_dcache
from django_dcache.testing import LocalFleet

BUDGET = Path(__file__).parents[1] / "performance" / "budget.json"
OURS = str(Path(django_dcache.__file__).parent)
VALUE = {"id": 4711, "name": "Espresso machine", "tags": ["kitchen", "coffee"]}
TEN = {f"item:{number}": VALUE for number in range(10)}
COMMAND = "python3.11 -m tests.support.hot_path"
REPETITIONS = 20
OLDEST = (3, 11)


def measured() -> dict[str, dict[str, int]]:
    """{operation: {"lines": …, "calls": …}}, in a process of its own, which has no compiled extra."""
    command = [sys.executable, "-m", "tests.support.hot_path", "--print"]
    run = subprocess.run(command, cwd=Path(OURS).parent, stdout=subprocess.PIPE, check=True)
    steps: dict[str, dict[str, int]] = json.loads(run.stdout)
    return steps


def _measure() -> dict[str, dict[str, int]]:
    """The same in this process, against one real node."""
    with LocalFleet(1) as nodes:
        return {name: least(call) for name, call in operations(nodes.addresses)}


def operations(addresses: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    from django_dcache.backend import DistributedCache

    # So long that neither a proof of the state nor a slow machine comes in between.
    options = {"freshness": 3600, "timeout": 60, "fleet": "steps"}
    # Named, so that each run has the same ring.
    nodes = [{"name": f"node-{number}", "address": address} for number, address in enumerate(addresses)]
    cache = DistributedCache(nodes, {"OPTIONS": options})
    cache.set("hit", VALUE)
    cache.set("number", 1)
    cache.set_many(TEN)
    yield "get", lambda: cache.get("hit")
    yield "miss", lambda: cache.get("nothing")
    yield "set", lambda: cache.set("hit", VALUE, 300)
    yield "delete", lambda: cache.delete("nothing")
    yield "incr", lambda: cache.incr("number")
    yield "get_many of 10", lambda: cache.get_many(TEN)
    yield "set_many of 10", lambda: cache.set_many(TEN, 300)
    yield "delete_many of 10", lambda: cache.delete_many(TEN)


def least(call: Callable[[], Any]) -> dict[str, int]:
    """The least of some repetitions: the kernel may, rarely, hand over a reply in two parts."""
    counts = []
    for _ in range(REPETITIONS):
        with counting() as steps:
            call()
        counts.append(dict(steps))
    return {kind: min(count[kind] for count in counts) for kind in ("lines", "calls")}


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Counts what code of django_dcache does in this thread inside the block."""
    steps: Counter[str] = Counter(lines=0, calls=0)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            steps["lines"] += 1
        return trace

    def profile(frame: FrameType, event: str, argument: object) -> None:
        caller = frame.f_back if event == "call" else frame if event == "c_call" else None
        if caller and caller.f_code.co_filename.startswith(OURS):
            steps["calls"] += 1

    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])


if __name__ == "__main__":
    from django.conf import settings

    os.environ["DCACHE_SPEED"] = "0"
    settings.configure(CACHES={})
    text = json.dumps(_measure(), indent=1) + "\n"
    if "--print" not in sys.argv:
        if sys.version_info[:2] != OLDEST:
            raise SystemExit("The budget is that of Python {}.{}, the oldest supported.".format(*OLDEST))
        BUDGET.write_text(text)
    print(text, end="")
