"""Operations that are broken off, anywhere and by anything: never another call's reply, never a lost key."""

import random
import signal
import sys
from dis import opmap
from functools import lru_cache, partial
from linecache import getline

import pytest

from django_dcache.flows.count import count as flow_of_count
from django_dcache.model.keys import wire_key
from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT
from support.mixed_operations import MISS, Site

pytestmark = pytest.mark.timing  # In a process without other tests: what those leave behind is closed at any moment.
PACKAGE = str(CHECKOUT / "django_dcache")


class Interrupt(BaseException):
    """Like a worker's timeout or Ctrl-C."""


# Interrupts

KEY, OTHER = "key", "other"
ONCE = {
    "get": (lambda cache: cache.get(KEY), {5}),
    "get_many": (lambda cache: cache.get_many([KEY, OTHER, "third"]), {5}),
    "has_key": (lambda cache: cache.has_key(KEY), {5}),
    "set": (lambda cache: cache.set(KEY, 6), {5, 6, MISS}),
    "set_many": (lambda cache: cache.set_many({KEY: 6, "third": 6}), {5, 6, MISS}),
    "delete": (lambda cache: cache.delete(KEY), {5, MISS}),
    "delete_many": (lambda cache: cache.delete_many([KEY, "third"]), {5, MISS}),
    "incr": (lambda cache: cache.incr(KEY), {5, 6, MISS}),
    "touch": (lambda cache: cache.touch(KEY), {5, MISS}),
    "add": (lambda cache: cache.add(KEY, 6), {5}),
    "get_or_set": (lambda cache: cache.get_or_set("missing", 6), {5}),
}
"""What is broken off, and what may be read afterwards of a key that held 5."""


@lru_cache(None)
def signal_proof(code, line, offset):
    """Whether no signal comes here: at a `try:`, which is no code, between the body of a `with` and its end, or at the
    first line of an `except:`. What is raised there leaves the interpreter with the exception before it, for good."""
    first = min(start for start, _, number in code.co_lines() if number == line)
    leaves = offset > first and getline(code.co_filename, line).lstrip().startswith("with ")
    return leaves or code.co_code[offset] in (opmap["NOP"], opmap["POP_EXCEPT"])


def collected(frame):
    """Whether this runs in a `__del__`: what is raised in there goes nowhere."""
    while frame:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def interrupted_at(line, work):
    """Runs `work` and raises Interrupt in front of its `line`th line in the package. False if it has no more lines."""
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if not frame.f_code.co_filename.startswith(PACKAGE) or collected(frame):
            return None
        if event == "line" and not signal_proof(frame.f_code, frame.f_lineno, frame.f_lasti):
            if seen == line:
                raise Interrupt
            seen += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    except Interrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.parametrize("operation", [*ONCE, "get, proving", "set, proving", "get, connecting", "set, connecting"])
@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning"
)  # broken off while connecting: the collector closes it
def test_interrupted_at_every_line(site, operation):
    """An operation may be broken off in front of any line: the next ones get their own replies, and nothing leaks."""
    operation, _, besides = operation.partition(", ")
    operate, allowed = ONCE[operation]
    cache, line = site.cache, 0
    while True:
        assert cache.set_many({KEY: 5, OTHER: "other"}) == []
        cache.delete("missing")
        if besides == "proving":
            cache.fleet.doubt()
        elif besides == "connecting":
            cache.fleet.close()
        if not interrupted_at(line, lambda: operate(cache)):
            break
        assert not cache.fleet._proving.locked() and not cache.fleet._learning.locked()
        assert cache.get(OTHER, MISS) == "other"
        assert cache.get(KEY, MISS) in allowed
        assert set(cache.get_many([KEY, OTHER]).values()) <= {"other", *allowed}
        line += 1
    assert line > 10
    site.assert_nothing_leaked()


@pytest.mark.parametrize("way", ["short cut", "flow"])
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_interrupted_counts(way):
    """Wherever a count is broken off, no two copies that can be read hold different numbers after the next call."""
    with LocalFleet(3) as nodes:
        cache, by_name = Site(nodes.nodes, replicas=2).cache, {node.address: node for node in nodes.nodes}
        fleet = cache.fleet
        # Not each line: too many bumps, and whole nodes are new.
        for line in range(0, 2000, 8):
            key = f"{KEY}-{line}"  # A slot that was not bumped yet.
            name = f":1:{key}".encode()
            count = partial(fleet.run, flow_of_count, name, 1) if way == "flow" else partial(cache.incr, key)
            assert cache.set(key, 5)
            if not interrupted_at(line, count):
                break
            cache.get(OTHER)
            route, slot = fleet.view.place(name)
            keys = {node: wire_key(name, fleet.view.generation(node, slot)) for node in route.read}
            said = {by_name[node].ask(b"mg %b v\r\nmn\r\n" % key) for node, key in keys.items()}
            assert len(said - {b"EN\r\nMN\r\n"}) < 2
        fleet.close()
    assert line > 10


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_interrupted_by_signals(site):
    """Signals that come at any moment do no more harm than that, not in C code either."""
    chance, cache = random.Random(7), site.cache
    armed, interrupts = False, 0

    def interrupt(signum, frame):
        if armed and not collected(frame):
            raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for turn in range(1000):
            assert cache.set(OTHER, turn)
            operation, _ = chance.choice(list(ONCE.values()))
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 600e-6))
                operation(cache)
                armed = False
            except Interrupt:
                armed = False
                interrupts += 1
            except ValueError:
                armed = False  # There was no counter.
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert cache.get(OTHER, MISS) == turn
            assert cache.get(KEY, MISS) in (5, 6, MISS, *range(2000))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 20
    site.assert_nothing_leaked()
