"""Every command on a real server: what is answered, and what lies there afterwards."""

import threading
from itertools import count
from time import time

import pytest

from django_dcache.commands import Answer, Arithmetic, Flush, Get, Refused, Remove, Store, Touch, Value
from django_dcache.engines import engine_of
from django_dcache.engines.ignite.items import ITEM, unpack
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from django_dcache.values.plain import INTEGER, TEXT

MOST_BYTES = 1000


@pytest.fixture
def sayer(ignite):
    """Makes what says commands to the node, all at once, over a connection of its own, and returns the replies."""
    node, opened = Node.at(ignite.address), []

    def make():
        engine, connection = engine_of(node), Connection.open(node, Limits(timeout=5.0), 10.0)
        numbers = count(0, 1000)
        opened.append(connection)

        def talk(*commands):
            first = next(numbers)
            connection.send(memoryview(engine.encode(commands, first, 0.0)))
            parser = engine.parser(commands, first, connection.serial, MOST_BYTES)
            connection.poller.poll(10_000)
            while not parser.feed(connection.receive() or b""):
                connection.send(memoryview(parser.request))
                parser.request = b""
                connection.poller.poll(10_000)
            assert not parser.tainted
            return parser.replies

        return talk

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def say(sayer):
    return sayer()


def left(ignite, key=b"k"):
    """Its TTL in milliseconds, as the item says it; None: it has none."""
    ends = unpack(ignite.items()[key]).ends
    return ends - time() * 1000 if ends else None


def test_store_and_get(say, ignite):
    """What is stored is read, with its flags and TTL; as an addition only where nothing is."""
    assert say(Get(b"k"), Store(b"k", 0, b"v", TEXT, 90.5), Get(b"k")) == [Answer.MISS, Answer.DONE, Value(b"v", TEXT)]
    assert 60_000 < left(ignite) <= 90_500
    found, bare = say(Get(b"k", ttl=True, token=True), Get(b"k", value=False, ttl=True, token=True))
    assert (found.data, bare.data, found.flags, found.token) == (b"v", None, bare.flags, bare.token)
    assert 60 < found.ttl <= 90.5 and found.token.connection == 0
    assert say(Store(b"k", 0, b"w", add=True), Store(b"n", 0, b"7", INTEGER, add=True)) == [
        Answer.NOT_STORED,
        Answer.DONE,
    ]
    assert left(ignite, b"n") is None
    assert say(Store(b"k", 3, b"x"), Get(b"k"))[1].data == b"v"  # Another generation is another key.
    assert {key: stored[0] for key, stored in ignite.items().items()} == dict.fromkeys([b"k", b"n", b"\xff3;k"], ITEM)


def test_commands_about_one_key_keep_their_order(say):
    """A server works at many requests at once, so each waits for the one before it that is about its key."""
    numbers = [b"%d" % n for n in range(200)]
    pairs = [command for n in numbers for command in (Store(b"k", 0, n), Get(b"k"), Store(b"other" + n, 0, n))]
    replies = say(*pairs)
    assert replies[1::3] == [Value(n) for n in numbers]


def test_the_server_forgets_by_the_ttl_of_the_last_write(say, ignite):
    """A write replaces the TTL of what it replaces, whether that had one or not; a count leaves it."""
    say(Store(b"a", 0, b"1", ttl=0.2), Store(b"a", 0, b"1"), Store(b"b", 0, b"1", INTEGER), Touch(b"b", 0, 0.2))
    say(Store(b"c", 0, b"1", INTEGER, 0.2), Arithmetic(b"c", 0, 1))
    while b"b" in (there := ignite.items()) or b"c" in there:
        pass
    assert say(Get(b"a"), Get(b"b"), Get(b"c")) == [Value(b"1"), Answer.MISS, Answer.MISS]


def test_tokens(say):
    """A token is good for the very item only, even where an equal one took its place."""
    say(Store(b"k", 0, b"old"))
    (found,) = say(Get(b"k", token=True))
    say(Store(b"k", 0, b"old"))
    for change in (Store(b"k", 0, b"x", token=found.token), Remove(b"k", 0, found.token)):
        assert say(change) == [Answer.CONFLICT]
    (found,) = say(Get(b"k", value=False, token=True))
    assert say(Touch(b"k", 0, 50), Store(b"k", 0, b"newer", 0, 60, token=found.token)) == [Answer.DONE, Answer.DONE]
    (found,) = say(Get(b"k", token=True))
    assert say(Remove(b"k", 0, found.token), Remove(b"k", 0, found.token), Get(b"k")) == [
        *(Answer.DONE, Answer.MISS, Answer.MISS)
    ]


def test_leases(say):
    """The first who asks for a lease has it; the others see a stub, which is a miss, and its token serves them too."""
    first, second, plain, addition = say(
        Get(b"k", lease=True), Get(b"k", lease=True, value=False), Get(b"k"), Store(b"k", 0, b"v", add=True)
    )
    assert (first.won, first.stub, second.won, second.stub) == (True, True, False, True)
    assert plain.stub and addition is Answer.NOT_STORED and first.token == second.token
    assert say(Touch(b"k", 0, 5), Arithmetic(b"k", 0, 1)) == [Answer.MISS, Answer.MISS]
    fills = [Store(b"k", 0, b"v", token=second.token), Store(b"k", 0, b"w", token=first.token), Get(b"k")]
    assert say(*fills) == [Answer.DONE, Answer.CONFLICT, Value(b"v")]


@pytest.mark.parametrize("lost", [Store(b"k", 0, b"new"), Remove(b"k")])
def test_a_lease_is_void_after_a_write(say, lost):
    """Whatever happens to the key voids the lease: an old value is never brought back."""
    (lease,) = say(Get(b"k", lease=True))
    say(lost)
    void = Answer.CONFLICT if isinstance(lost, Store) else Answer.MISS
    assert say(Store(b"k", 0, b"old", token=lease.token)) == [void]


def test_touch_and_remove(say, ignite):
    """A touch replaces the TTL, also by none, and nothing else; a removal says whether there was something."""
    assert say(Touch(b"k", 0, 5), Remove(b"k")) == [Answer.MISS, Answer.MISS]
    say(Store(b"k", 0, b"v", TEXT), Touch(b"k", 0, 90))
    assert 60_000 < left(ignite) <= 90_000
    assert say(Touch(b"k", 0, None), Get(b"k", ttl=True)) == [Answer.DONE, Value(b"v", TEXT)]
    assert say(Remove(b"k"), Get(b"k")) == [Answer.DONE, Answer.MISS]


@pytest.mark.parametrize(
    ("before", "delta", "after"),
    [
        *((b"5", 3, b"8"), (b"5", -3, b"2"), (b"0", 2**63 - 1, b"9223372036854775807")),
        *((b"9007199254740993", 2, b"9007199254740995"), (b"5", -6, b"18446744073709551615")),
        *((b"18446744073709551615", 1, b"0"), (b"-5", 3, None), (b"text", 1, None)),
    ],
)
def test_arithmetic(say, ignite, before, delta, after):
    """Numbers of 64 bits are exact, and keep their flags and their TTL; anything else is as it was."""
    say(Store(b"k", 0, before, INTEGER | 7 << 20, 90))
    (reply,) = say(Arithmetic(b"k", 0, delta))
    if after is None:
        assert isinstance(reply, Refused) and reply.unchanged
    else:
        assert reply == Value(after)
    assert say(Get(b"k")) == [Value(after or before, INTEGER | 7 << 20)]
    assert 60_000 < left(ignite) <= 90_000


def test_arithmetic_needs_an_item(say):
    """Nothing is counted where nothing is, and with a token only the very item."""
    assert say(Arithmetic(b"k", 0, 1), Get(b"k")) == [Answer.MISS, Answer.MISS]
    say(Store(b"k", 0, b"5", INTEGER))
    (found,) = say(Get(b"k", token=True))
    assert say(*[Arithmetic(b"k", 0, 1, found.token)] * 2) == [Value(b"6"), Answer.CONFLICT]


def test_many_count_at_once(sayer):
    """A count is tried again where another client came between: none is lost."""
    clients = [sayer() for _ in range(4)]
    clients[0](Store(b"k", 0, b"0", INTEGER))
    threads = [
        threading.Thread(target=lambda talk=talk: [talk(Arithmetic(b"k", 0, 1)) for _ in range(50)]) for talk in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clients[0](Get(b"k")) == [Value(b"200", INTEGER)]


def test_values_above_the_limit(say):
    """A value that is larger than this process reads is a miss, and leaves the connection as it was."""
    say(Store(b"k", 0, b"x" * 9000), Store(b"n", 0, b"v"))
    assert say(Get(b"k"), Get(b"k", ttl=True), Get(b"n"), Get(b"k", lease=True)) == [
        *(Answer.MISS, Answer.MISS, Value(b"v"), Answer.MISS)
    ]


def test_clear_leaves_others_alone(say, ignite):
    """A cache is cleared of the names that begin as ours do, in every generation; other keys stay, and so does what the
    fleet keeps."""
    names = [b":1:a", b":2:b", b"\xff~2;:1:d", b"\xff#" + b"0" * 96, ":1:\u00e4".encode()]
    others = [b"celery", b"x:1:a", b"_dc:default:state"]
    say(*[Store(name, 0, b"1") for name in (*names, *others)], Store(b":1:c", 3, b"1"))
    assert say(Flush(b":")) == [Answer.DONE]
    assert sorted(ignite.items()) == sorted(others)
    say(*[Store(b":%d" % n, 0, b"1") for n in range(2001)])
    (reply,) = say(Flush(b":"))
    assert isinstance(reply, Refused), "more than are looked through in one step"
