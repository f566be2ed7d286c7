"""Threads and forked processes on one cache: never another call's reply."""

import json
import os
import random
import signal
import threading

import pytest

from support.mixed_operations import MISS

THREADS, OPERATIONS = 16, 625
"""10,000 operations in all: as many in each thread take minutes, and meet no more of each other."""


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
