"""Requests per second of the page, for several backends in turn."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from tempfile import TemporaryDirectory

from .backends import PREFETCH, Backend, Servers, ours, peer, with_prefetch
from .page import CALLS, EXPECTED
from .scenarios import Terms
from .servers import away, running
from .table import Table

WORKERS, VISITORS, ROUND_SECONDS = 2, 8, 0.5


def site(terms: Terms) -> Iterator[Table]:
    """A page with 20 cache calls under gunicorn, two workers: requests per second, and how long they take."""
    mine = [ours(), ours(speed=True)]
    peers = [peer("PyMemcache"), peer("PyLibMC"), peer("django-redis")]
    backends = terms.present([*peers, *mine, *map(with_prefetch, terms.present(mine))])
    rates: dict[str, dict[str, float]] = {backend.name: {"requests/s": 0.0} for backend in backends}
    times: dict[str, dict[str, float]] = {backend.name: {} for backend in backends}
    with running(3) as servers, ExitStack() as stack:
        ports = {backend.name: stack.enter_context(_gunicorn(backend, servers)) for backend in backends}
        for port in ports.values():
            asyncio.run(_visit(port, b"prepare", b"prepared"))
        with away():
            for _ in range(max(5, terms.samples // 10)):
                for name, port in ports.items():
                    rate, p50, p99 = asyncio.run(_load(port))
                    best = times[name]
                    rates[name]["requests/s"] = max(rate, rates[name]["requests/s"])
                    times[name] = {"p50": min(p50, best.get("p50", p50)), "p99": min(p99, best.get("p99", p99))}
    title = f"A page with {CALLS} cache calls, gunicorn with {WORKERS} workers, three nodes"
    note = f'Rows that end in "{PREFETCH}" are another page: it reads in one round. They are in none of the ratios.'
    yield Table(title, rates, True, notes=(note,))
    yield Table("The same: milliseconds per request", times, notes=(note,))


@contextmanager
def _gunicorn(backend: Backend, servers: Servers) -> Iterator[int]:
    # Later gunicorns keep a control socket in the home directory: without one each, they would meet there.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, TemporaryDirectory() as home:
        command = [sys.executable, "-m", "gunicorn", "benchmarks.page:application", "--workers", str(WORKERS)]
        command += ["--bind", f"fd://{listening.fileno()}", "--log-level", "warning"]
        entry, environment = backend.entry(servers), {**os.environ, "HOME": home}
        if entry["BACKEND"] == ours(speed=True).path:  # In a process of its own no second copy of ours is needed.
            entry["BACKEND"], environment["DCACHE_SPEED"] = ours().path, "1"
        environment |= {"PAGE_CACHE": json.dumps(entry), "PAGE_MIDDLEWARE": json.dumps(backend.middleware)}
        process = subprocess.Popen(command, env=environment, pass_fds=[listening.fileno()])
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.wait()


async def _load(port: int) -> tuple[float, float, float]:
    """Requests per second, median and 99th percentile in milliseconds, with a few visitors who never pause."""
    until = time.perf_counter() + ROUND_SECONDS
    began = time.perf_counter()
    seconds = sorted(chain.from_iterable(await asyncio.gather(*(_visitor(port, until) for _ in range(VISITORS)))))
    rate = len(seconds) / (time.perf_counter() - began)
    return rate, _percentile(seconds, 50) * 1000, _percentile(seconds, 99) * 1000


async def _visitor(port: int, until: float) -> list[float]:
    seconds = []
    while (began := time.perf_counter()) < until:
        await _visit(port, b"page", EXPECTED)
        seconds.append(time.perf_counter() - began)
    return seconds


async def _visit(port: int, page: bytes, expected: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /%b HTTP/1.0\r\nHost: localhost\r\n\r\n" % page)
    answer = await reader.read()
    writer.close()
    if not answer.endswith(expected):
        raise SystemExit(f"the page said {answer[-200:]!r}")


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
