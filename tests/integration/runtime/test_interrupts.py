"""Operations that are broken off, anywhere and by anything: never another call's reply, never a leaked connection."""

import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
from dis import opmap
from functools import lru_cache, partial
from linecache import getline

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.flows.count import count as flow_of_count
from django_dcache.model.keys import wire_key
from django_dcache.testing import FaultProxy, LocalFleet, LocalNode
from support.checkout import CHECKOUT

PACKAGE = str(CHECKOUT / "django_dcache")
THREADS, OPERATIONS = 16, 625
"""10,000 operations in all: as many in each thread take minutes, and meet no more of each other."""

PATIENT = {"timeout": 10.0, "connect_timeout": 10.0}
"""On a busy machine nothing fails for want of time."""

MISS = "a miss"


class Interrupt(BaseException):
    """Like a worker's timeout or Ctrl-C."""


class Site:
    """A cache on three nodes, and what there is to know of its connections."""

    def __init__(self, nodes, **options):
        self.nodes = nodes
        self.before = [self._connections(node) for node in nodes]
        self.cache = DistributedCache([node.address for node in nodes], {"OPTIONS": PATIENT | options})
        self.pools = self.cache.fleet.transport.pools

    @staticmethod
    def _connections(node):
        return int(node.stats()["curr_connections"])

    @property
    def idle(self):
        return [len(pool.idle) for pool in self.pools().values()]

    @property
    def open(self):
        """How many connections of ours each node holds."""
        gc.collect()
        return [self._connections(node) - before for node, before in zip(self.nodes, self.before, strict=True)]

    def assert_nothing_leaked(self):
        for _ in range(1000):
            if self.open == self.idle:
                return
        assert self.open == self.idle


@pytest.fixture(params=[1, 2], ids=["one replica", "two replicas"])
def site(request):
    """A site of three nodes."""
    with LocalFleet(3) as fleet:
        site = Site(fleet.nodes, replicas=request.param)
        yield site
        site.cache.fleet.close()


def mixed(cache, label, chance, turns):
    """Uses keys of its own in every way, and says what came back that it had not put there."""
    wrong = []
    keys = [f"{label}-{number}" for number in range(5)]
    held = dict.fromkeys(keys, MISS)

    def check(key, found):
        if found != held[key]:
            wrong.append((key, held[key], found))

    for turn in range(turns):
        key = chance.choice(keys)
        match chance.randrange(6):
            case 0 | 1:
                check(key, cache.get(key, MISS))
            case 2:
                held[key] = turn if cache.set(key, turn) else MISS
            case 3:
                for found, value in cache.get_many(keys).items():
                    check(found, value)
            case 4:
                cache.set_many(dict.fromkeys(keys, turn))
                held = dict.fromkeys(keys, turn)
            case 5 if held[key] == MISS:
                with pytest.raises(ValueError):
                    cache.incr(key)
            case 5:
                held[key] += 1
                check(key, cache.incr(key))
    return wrong


# Threads


def test_threads(site):
    """Sixteen threads get each their own replies, over no more connections than threads to a node."""
    wrong = []

    def work(thread):
        wrong.extend(mixed(site.cache, f"t{thread}", random.Random(thread), OPERATIONS))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert max(pool.opened for pool in site.pools().values()) <= THREADS
    site.assert_nothing_leaked()


# Forks


def in_child(work):
    """What `work` returns (as JSON) in a forked child, or its error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            signal.alarm(60)
            answer = json.dumps(work())
        except BaseException as error:
            answer = json.dumps(repr(error))
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    return child, reading


def told(child, reading):
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the child hangs"
    return json.loads(answer)


def test_fork(site):
    """Children and their parent use the cache side by side, each over connections of its own."""
    assert not mixed(site.cache, "warm", random.Random(0), 100)
    opened = {name: pool.opened for name, pool in site.pools().items()}
    children = [in_child(lambda n=n: mixed(site.cache, f"c{n}", random.Random(n), 200)) for n in range(4)]
    assert not mixed(site.cache, "parent", random.Random(9), 200)
    assert [told(*child) for child in children] == [[]] * 4
    assert {name: pool.opened for name, pool in site.pools().items()} == opened
    site.assert_nothing_leaked()


def test_fork_among_threads(site):
    """A child that was forked while other threads were in the middle of an operation works, and so do they."""
    stop, wrong = threading.Event(), []

    def work(thread):
        chance = random.Random(thread)
        while not stop.is_set():
            wrong.extend(mixed(site.cache, f"t{thread}", chance, 20))
            chance = random.Random(thread)
            site.cache.delete_many([f"t{thread}-{number}" for number in range(5)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10):
            child = in_child(lambda number=number: mixed(site.cache, f"c{number}", random.Random(number), 50))
            assert told(*child) == []
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    site.assert_nothing_leaked()


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
    """Whether no signal comes here: at a `try:`, which is no code, or between the body of a `with` and its end."""
    first = min(start for start, _, number in code.co_lines() if number == line)
    leaves = offset > first and getline(code.co_filename, line).lstrip().startswith("with ")
    return leaves or code.co_code[offset] == opmap["NOP"]


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


# Greenlets

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import json, os, random, sys
sys.path[:0] = [{root!r}, {root!r} + "/manager", {root!r} + "/tests"]
os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
import django
django.setup()
import gevent
from django_dcache.backend import DistributedCache
from django_dcache.flows.count import count as flow_of_count
from django_dcache.model.keys import wire_key

cache = DistributedCache([{address!r}], {{"OPTIONS": {{"timeout": 10.0, "connect_timeout": 10.0}}}})
wrong, broken_off = [], 0

def work(number):
    global broken_off
    chance = random.Random(number)
    key = f"g{{number}}"
    held = {{None}}
    for turn in range(40):
        timeout = gevent.Timeout(chance.uniform(0.0005, 0.02))
        value = f"{{key}} {{turn}}"
        timeout.start()
        try:
            if chance.random() < 0.5:
                held.add(value)
                if cache.set(key, value):
                    held = {{value}}
            else:
                found = cache.get(key)
                if found not in held:
                    wrong.append((key, found, sorted(map(str, held))))
        except gevent.Timeout as raised:
            assert raised is timeout
            broken_off += 1
            held.add(None)
        finally:
            timeout.close()

gevent.joinall([gevent.spawn(work, number) for number in range(16)], raise_error=True)
# Nobody is in the middle of anything now: whatever is read is what was written.
for number in range(16):
    assert cache.set(f"g{{number}}", number)
for number in range(16):
    assert cache.get(f"g{{number}}") == number
import gc
gc.collect()
idle = sum(len(pool.idle) for pool in cache.fleet.transport.pools().values())
print(json.dumps([wrong, broken_off, idle]), flush=True)
sys.stdin.readline()
"""


def test_gevent():
    """Greenlets whose timeouts break off operations under way get no other greenlet's reply, and leak nothing."""
    pytest.importorskip("gevent")
    with LocalNode() as node, FaultProxy(node.address, seed=7) as proxy:
        proxy.delay(0.003, jitter=0.006, direction="replies")
        script = GREENLETS.format(root=str(CHECKOUT), address=proxy.address)
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            wrong, broken_off, idle = json.loads(process.stdout.readline())
            proxy.heal()
            for _ in range(10_000):
                if proxy.open == idle:
                    break
            still_open = proxy.open
            process.stdin.close()
    assert not wrong
    assert broken_off > 20
    assert still_open == idle
