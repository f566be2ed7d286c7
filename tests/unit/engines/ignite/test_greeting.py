"""What is asked of a server before it is trusted, and what is made of the replies."""

from itertools import permutations

import pytest

from django_dcache.engines.ignite.frames import NULL, Frames, octets
from django_dcache.engines.ignite.greeting import Greeting, Look
from django_dcache.engines.ignite.items import pack
from django_dcache.errors import ProtocolViolation
from django_dcache.model.topology import Node

NODE = Node.at("ignite://127.0.0.1:10800/dcache")
WELCOME = b"\x01\x00\x00\x00\x01"
ID = b"\x01" * 16
SERVERS = b"\x01" + bytes(8) + b"\x01\x00\x00\x00" + ID
MARK = pack(0, ID.hex().encode(), 0)
CHANGED = 2
ORDERS = list(permutations(range(3)))


def reply(number, body, flags=0):
    """As a server sends it."""
    body = bytes(12) * bool(flags) + body
    return (10 + len(body)).to_bytes(4, "little") + number.to_bytes(8, "little") + flags.to_bytes(2, "little") + body


def replies(mark=MARK, changes=()):
    """To the three questions; those of `changes` say that servers have come or gone."""
    bodies = enumerate((SERVERS, mark, b"its configuration"))
    return [reply(number, body, CHANGED * (number in changes)) for number, body in bodies]


def greeted(*chunks):
    """A greeting that has had these replies, and whether it is through."""
    greeting = Greeting(NODE, None, "shop")
    assert not greeting.feed(WELCOME)
    return greeting, [greeting.feed(chunk) for chunk in chunks][-1]


@pytest.mark.parametrize("order", ORDERS)
def test_one_round_after_the_handshake(order):
    """All questions leave at once, and the replies may come in any order, one by one or together."""
    said = replies(changes=order[:1])  # The first reply on a connection says so.
    for chunks in ([said[number] for number in order], [b"".join(said[number] for number in order)]):
        greeting, over = greeted(*chunks)
        assert over and greeting.returned == ""


def test_what_is_asked():
    """Three questions leave in one piece, with numbers of their own; and a fourth where there is no mark yet."""
    greeting, over = greeted(b"".join(replies(NULL)))
    assert not over and greeting.request.count(ID.hex().encode()) == 1
    assert greeting.feed(reply(0, b"\x01"))
    assert [number for number, _ in Frames().feed(_as_replies(Look(NODE, "shop").request))] == [0, 1, 2]


def _as_replies(requests):
    """Requests have a code where replies have flags, behind the number."""
    found, position = b"", 0
    while position < len(requests):
        end = position + 4 + int.from_bytes(requests[position : position + 4], "little")
        found += reply(int.from_bytes(requests[position + 6 : position + 14], "little"), requests[position + 14 : end])
        position = end
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_a_server_that_comes_meanwhile(order):
    """Whichever reply says that servers have come since the one before it: the connection is not used."""
    for changed in order[1:]:
        said = replies(changes=(order[0], changed))
        with pytest.raises(ProtocolViolation, match="come or gone"):
            greeted(b"".join(said[number] for number in order))


@pytest.mark.parametrize("changed", range(3))
def test_a_server_that_came_while_it_was_idle(changed):
    """A connection that was idle is not used again, though its servers may be those that there are now."""
    with pytest.raises(ProtocolViolation, match="come or gone"):
        Look(NODE, "shop").feed(b"".join(replies(changes=(changed,))))


def test_a_mark_that_does_not_name_it():
    """A server that the mark does not name may have brought the past."""
    greeting, over = greeted(b"".join(replies(pack(0, b"another", 0))))
    assert over and greeting.returned == ID.hex()


@pytest.mark.parametrize("extra", [reply(1, octets(b"again")), reply(3, b""), b"\x00"])
def test_more_than_was_asked_for(extra):
    """A reply to nothing, or a second one, ends the connection."""
    with pytest.raises(ProtocolViolation, match="more was said"):
        greeted(b"".join(replies()) + extra)
