"""Every command on a real server: what is answered, and what lies there afterwards."""

import pytest

from django_dcache.commands import Answer, Arithmetic, Flush, Get, Refused, Remove, Store, Touch, Value
from django_dcache.engines import engine_of
from django_dcache.engines.redis.bulk_fill import ask_lease
from django_dcache.engines.redis.items import is_stub
from django_dcache.engines.redis.resp import command
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from django_dcache.values.plain import INTEGER, TEXT


@pytest.fixture
def say(redis):
    """Says commands to the node, all at once, and returns the replies."""
    node = Node.at(redis.address)
    engine, connection = engine_of(node), Connection.open(node, Limits(timeout=5.0), 5.0)

    def talk(*commands):
        connection.send(memoryview(engine.encode(commands, 0, 0.0)))
        parser = engine.parser(commands, 0, connection.serial, 1000)
        connection.poller.poll(5000)
        while not parser.feed(connection.receive() or b""):
            connection.poller.poll(5000)
        assert not parser.tainted
        return parser.replies

    yield talk
    connection.close()


def there(redis, key=b"k"):
    """The string of a key as the server has it."""
    return redis.ask(command(b"GET", key)).partition(b"\r\n")[2].removesuffix(b"\r\n")


def left(redis, key=b"k"):
    """Its TTL in milliseconds; -1: it has none."""
    return int(redis.ask(command(b"PTTL", key))[1:])


def test_store_and_get(say, redis):
    """What is stored is read, with its flags and TTL; as an addition only where nothing is."""
    assert say(Get(b"k"), Store(b"k", 0, b"v", TEXT, 9.5), Get(b"k")) == [Answer.MISS, Answer.DONE, Value(b"v", TEXT)]
    assert 9000 < left(redis) <= 9500
    found, bare = say(Get(b"k", ttl=True, token=True), Get(b"k", value=False, ttl=True, token=True))
    assert (found.data, bare.data, found.flags, found.token) == (b"v", None, bare.flags, bare.token)
    assert 9 < found.ttl <= 9.5 and found.token.connection == 0
    assert say(Store(b"k", 0, b"w", add=True), Store(b"n", 0, b"7", INTEGER, add=True)) == [
        Answer.NOT_STORED,
        Answer.DONE,
    ]
    assert (there(redis, b"n"), left(redis, b"n")) == (b"7", -1)
    assert say(Store(b"k", 3, b"x"), Get(b"k"))[1].data == b"v"  # Another generation is another key.


def test_tokens(say, redis):
    """A token is good for the very item only."""
    say(Store(b"k", 0, b"old"))
    (found,) = say(Get(b"k", token=True))
    say(Store(b"k", 0, b"new"))
    for change in (Store(b"k", 0, b"x", token=found.token), Remove(b"k", 0, found.token)):
        assert say(change) == [Answer.CONFLICT]
    (found,) = say(Get(b"k", value=False, token=True))
    assert say(Store(b"k", 0, b"newer", 0, 60, token=found.token), Get(b"k")) == [Answer.DONE, Value(b"newer")]
    assert 59_000 < left(redis) <= 60_000
    (found,) = say(Get(b"k", token=True))
    assert say(Remove(b"k", 0, found.token), Remove(b"k", 0, found.token), Get(b"k")) == [
        *(Answer.DONE, Answer.MISS, Answer.MISS)
    ]


def test_a_long_list_by_msgpack(say, redis):
    """One that begins as a stub does is a value: it is touched, is no number, and is not filled over."""
    data = b"\xdd\x00\x01\x00\x00" + 65_536 * b"\x01"
    redis.ask(command(b"SET", b"k", data))
    touched, counted = say(Touch(b"k", 0, 3600), Arithmetic(b"k", 0, 1))
    assert touched is Answer.DONE and counted.unchanged
    assert 3_000_000 < left(redis) <= 3_600_000 and there(redis) == data
    assert redis.ask(ask_lease(b"k", 60, 5)) == b"+L 0 O5\r\n"


def test_leases(say, redis):
    """The first who asks for a lease has it; the others see a stub, which is a miss, and its token serves them too."""
    first, second, plain, addition = say(
        Get(b"k", lease=True), Get(b"k", lease=True, value=False), Get(b"k"), Store(b"k", 0, b"v", add=True)
    )
    assert (first.won, first.stub, second.won, second.stub) == (True, True, False, True)
    assert first.token == second.token and plain.stub and addition is Answer.NOT_STORED
    assert is_stub(there(redis)) and left(redis) > 80_000_000
    assert say(Touch(b"k", 0, None), Arithmetic(b"k", 0, 1)) == [Answer.MISS, Answer.MISS]
    assert say(Store(b"k", 0, b"v", token=second.token), Store(b"k", 0, b"w", token=first.token), Get(b"k")) == [
        *(Answer.DONE, Answer.CONFLICT, Value(b"v"))
    ]
    (again,) = say(Get(b"k", lease=True))
    assert (again.data, again.stub) == (b"v", False)


def test_touch(say, redis):
    """An item has a new TTL, or none; where nothing is nothing is touched."""
    assert say(Touch(b"k", 0, 5), Store(b"k", 0, b"v", 0, 60), Touch(b"k", 0, 5)) == [
        *(Answer.MISS, Answer.DONE, Answer.DONE)
    ]
    assert 4000 < left(redis) <= 5000
    assert say(Touch(b"k", 0, None)) == [Answer.DONE] and left(redis) == -1


@pytest.mark.parametrize(
    ("before", "delta", "after"),
    [
        *((b"5", 3, b"8"), (b"5", -3, b"2"), (b"0", 2**63 - 1, b"9223372036854775807")),
        *((b"9007199254740993", 2, b"9007199254740995"), (b"5", -6, None), (b"-5", 3, None), (b"text", 1, None)),
        *((b"9223372036854775807", 1, None), (b"18446744073709551615", 0, None), (b"1", 2**63, None)),
    ],
)
def test_arithmetic(say, redis, before, delta, after):
    """Numbers that the server can count with are exact, and keep their TTL; any other is as it was."""
    say(Store(b"k", 0, before, INTEGER if before != b"text" else TEXT, 60))
    (reply,) = say(Arithmetic(b"k", 0, delta))
    if after is None:
        assert isinstance(reply, Refused) and reply.unchanged
        assert say(Get(b"k"))[0].data == before
    else:
        assert reply == Value(after) and there(redis) == after
    assert 59_000 < left(redis) <= 60_000


@pytest.mark.parametrize(("delta", "after"), [(3, b"8"), (-3, b"2"), (-6, None), (2**63 - 1, None)])
def test_arithmetic_keeps_flags(say, redis, delta, after):
    """A number that carries more than its kind (docs/adr/0028) is counted with, and keeps its flags and its TTL."""
    flags = INTEGER | 7 << 20
    say(Store(b"k", 0, b"5", flags, 60))
    (reply,) = say(Arithmetic(b"k", 0, delta))
    assert reply == Value(after) if after else isinstance(reply, Refused) and reply.unchanged
    assert say(Get(b"k")) == [Value(after or b"5", flags)]
    assert 59_000 < left(redis) <= 60_000


def test_arithmetic_needs_an_item(say):
    """Nothing is counted where nothing is, and with a token only the very item."""
    assert say(Arithmetic(b"k", 0, 1), Get(b"k")) == [Answer.MISS, Answer.MISS]
    say(Store(b"k", 0, b"5", INTEGER))
    (found,) = say(Get(b"k", token=True))
    assert say(*[Arithmetic(b"k", 0, 1, found.token)] * 2) == [Value(b"6"), Answer.CONFLICT]


def test_values_above_the_limit(say):
    """A value that is larger than this process reads is a miss, in each form of reading."""
    say(Store(b"k", 0, b"x" * 2000))
    assert say(Get(b"k"), Get(b"k", ttl=True), Get(b"k", value=False), Get(b"n")) == [
        *(Answer.MISS, Answer.MISS, Value(None), Answer.MISS)
    ]


def test_clear_leaves_others_alone(say, redis):
    """A server is cleared of the names that begin as ours do, in every generation; other software's keys stay, and so
    does what the fleet keeps."""
    names = [b":1:a", b":2:b", b"\xff3;:1:c", b"\xff~2;:1:d", b"\xff4;\xff~2;:1:e", b"\xff#" + b"0" * 96]
    others = [b"celery", b"x:1:a", b"_dc:default:state", b"\xff3;x:1:c"]
    redis.ask(b"".join(command(b"SET", key, b"1") for key in (*names, *others)) + command(b"LPUSH", b":1:list", b"1"))
    assert say(Flush(b":")) == [Answer.DONE]
    left = redis.ask(command(b"EXISTS", *names) + command(b"EXISTS", *others, b":1:list"))
    assert left == b":0\r\n:5\r\n"


def test_scripts_are_flushed(say, redis):
    """After SCRIPT FLUSH everything goes on as before."""
    say(Store(b"k", 0, b"5", INTEGER), Arithmetic(b"k", 0, 1))
    assert redis.ask(b"SCRIPT FLUSH\r\n") == b"+OK\r\n"
    assert say(Arithmetic(b"k", 0, 1), Touch(b"k", 0, 5)) == [Value(b"7"), Answer.DONE]


def test_other_types(say, redis):
    """A key that other software uses for something else is no value, and a write replaces it."""
    redis.ask(command(b"LPUSH", b"k", b"1"))
    assert all(isinstance(reply, Refused) for reply in say(Get(b"k"), Get(b"k", lease=True), Arithmetic(b"k", 0, 1)))
    assert say(Store(b"k", 0, b"v"), Get(b"k")) == [Answer.DONE, Value(b"v")]
