"""`FaultProxy`: each tampering with replies is what it says, in front of real memcached, and is over when healed."""

import socket

import pytest

from django_dcache.testing import FaultProxy, dial, receive
from support.raw_client import GET, HIT, ask, assert_silent

pytestmark = pytest.mark.usefixtures("hello")


@pytest.mark.parametrize("count", range(len(HIT) + 1))
def test_cut_after(proxy, client, count):
    """The connection ends after exactly so many bytes of replies; the next one is whole."""
    proxy.cut_after(count)
    assert ask(client, GET * 2, 100) == HIT[:count]
    with dial(proxy.address) as other:
        assert ask(other) == HIT


def test_cut_after_counts_over_replies(proxy, client):
    """The cut can fall into a later reply of a pipeline."""
    proxy.cut_after(len(HIT) + 3)
    assert ask(client, GET * 3, 100) == HIT + HIT[:3]


def test_cut_in_value(proxy, client):
    """Replies without a value pass; the first value is cut in two."""
    proxy.cut_in_value()
    assert ask(client, b"mn\r\n", 4) == b"MN\r\n"
    assert ask(client, GET, 100) == b"VA 5\r\nhe"


def test_reset_in_value(proxy, client):
    """The cut may be a reset."""
    proxy.cut_in_value(reset=True)
    assert ask(client, GET, 8) == b"VA 5\r\nhe"
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_cuts_can_repeat(proxy):
    """A cut with `times=None` goes on until it is healed."""
    proxy.cut_in_value(times=None)
    for _ in range(3):
        with dial(proxy.address) as client:
            assert ask(client, GET, 100) == b"VA 5\r\nhe"


def test_garbage_is_seeded(node):
    """Garbage is no reply, and the same for the same seed."""

    def heard(seed):
        with FaultProxy(node.address, seed) as proxy, dial(proxy.address) as client:
            proxy.garbage()
            client.sendall(b"mn\r\n" * 10)
            client.shutdown(socket.SHUT_WR)
            return receive(client, 10_000)

    assert heard(1) == heard(1) != heard(2)
    assert b"MN" not in heard(1)


def test_duplicate_replies(proxy, client):
    """Each reply comes twice."""
    proxy.duplicate_replies()
    assert ask(client, GET + b"mn\r\n", 2 * len(HIT) + 8) == HIT + HIT + b"MN\r\nMN\r\n"


def test_dribble(proxy, client):
    """A reply comes one byte at a time, and the rest at once when healed."""
    proxy.dribble(seconds=3600)
    client.sendall(GET)
    assert client.recv(100) == HIT[:1]
    assert_silent(client)
    proxy.heal()
    assert receive(client, len(HIT) - 1) == HIT[1:]


def test_error_reply(proxy, client, node):
    """An error is answered in place of the reply to a command that was executed."""
    proxy.answer_error(times=1)
    assert ask(client, b"md k\r\n", 28) == b"SERVER_ERROR out of memory\r\n"
    assert node.ask(GET) == b"EN\r\n"


def test_any_tampering(proxy, client):
    """A function may replace any reply, and let others pass."""
    proxy.tamper(lambda reply: reply.replace(b"hello", b"jello") if b"hello" in reply else None, times=1)
    assert ask(client, b"mn\r\n" + GET + GET, 4 + 2 * len(HIT)) == b"MN\r\nVA 5\r\njello\r\n" + HIT
