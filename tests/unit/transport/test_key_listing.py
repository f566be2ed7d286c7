"""Listings of nodes, whole, cut anywhere, and refused."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.engines.inspection import ItemFacts
from django_dcache.engines.memcached.introspection import Listing, item_facts
from django_dcache.errors import ConnectionLost, NodeFailure, NodeTimeout, NodeUnreachable, ProtocolViolation
from django_dcache.model.topology import Node
from django_dcache.testing import CLOSE, SILENCE, ManualClock, ScriptedNode
from django_dcache.transport.connection import Connection
from django_dcache.transport.key_listing import ListingRefused, listed, pages
from django_dcache.transport.limits import Limits

LIMITS = Limits(connect_timeout=5.0)
LINES = [
    b"key=%3A1%3Aa exp=1795434723 la=1795431123 cas=17 fetch=no cls=5 size=260\n",
    b"key=plain exp=-1 la=1795431124 cas=18 fetch=yes cls=1 size=70\n",
    b"key=%FF3%3Bn%C3%A9%253A exp=1795434723 la=0 cas=1 fetch=yes cls=39 size=1048576\n",
]
ITEMS = [
    (b":1:a", ItemFacts(1795431123, False, 260)),
    (b"plain", ItemFacts(1795431124, True, 70)),
    (b"\xff3;n\xc3\xa9%3A", ItemFacts(0, True, 1048576)),
]


def items(address: str) -> Iterator[tuple[bytes, ItemFacts]]:
    for page in pages(Node.at(address), LIMITS):
        yield from ((key, item_facts(said)) for key, said in page)


def said(*answers: object) -> list[tuple[bytes, ItemFacts]]:
    with ScriptedNode(list(answers)) as node:  # type: ignore[arg-type]
        return list(items(node.address))


def test_items() -> None:
    """Keys come decoded, each with its last access, whether it was ever read, and its size."""
    assert said(b"".join(LINES) + b"END\r\n") == ITEMS


def test_nothing() -> None:
    """A node that holds nothing lists nothing."""
    assert said(b"END\r\n") == []


def test_opening_line() -> None:
    """A listing that begins with OK, as those of memcached 1.6.43 do, is read like any other."""
    assert said(b"OK\r\n" + LINES[0] + b"END\r\n") == ITEMS[:1]


class Stream(Connection):
    """A connection that brings the given chunks and then nothing."""

    def __init__(self, chunks: list[bytes]):
        self.node, self._chunks, self.poller = "n", chunks, self  # type: ignore[assignment]

    def poll(self, milliseconds: int) -> bool:
        return bool(self._chunks)

    def send(self, data: memoryview) -> int:
        return len(data)

    def receive(self) -> bytes | None:
        return self._chunks.pop(0)

    def close(self) -> None:
        pass


@given(st.sets(st.integers(1, len(b"".join(LINES)) - 1)))
def test_cut_anywhere(places: set[int]) -> None:
    """Lines are the same however the bytes arrive."""
    text = b"".join((*LINES, b"END\r\n"))
    edges = [0, *sorted(places), len(text)]
    chunks = [text[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    found = [item for page in listed(Stream(chunks), Listing(), 1.0) for item in page]
    assert [(key, item_facts(words)) for key, words in found] == ITEMS


class Dripping(Stream):
    """Brings one byte after a while, for ever."""

    def __init__(self, text: bytes, clock: ManualClock):
        super().__init__([text[:1]])
        self._text, self._clock = text, clock

    def poll(self, milliseconds: int) -> bool:
        self._clock.advance(0.9)
        return True

    def receive(self) -> bytes | None:
        self._text = self._text[1:] + self._text[:1]
        return self._text[:1]


def test_a_node_that_drips() -> None:
    """A byte now and then is as good as silence."""
    clock = ManualClock()
    began = clock.now
    with pytest.raises(NodeTimeout):
        list(listed(Dripping(LINES[0], clock), Listing(), 15.0, clock=clock))
    assert clock.now - began < 20


def test_a_listing_without_an_end() -> None:
    """A node that lists more keys than it can hold is given up."""
    with pytest.raises(ListingRefused, match="more than 10"):
        list(listed(Stream([LINES[1]] * 20), Listing(), 15.0, most=10))


def test_silence() -> None:
    """A node that says nothing any more is given up; until then each second brings an empty page."""
    answer = listed(Stream([LINES[1]]), Listing(), 3.0)
    assert [len(next(answer)) for _ in range(3)] == [1, 0, 0]
    with pytest.raises(NodeTimeout):
        next(answer)


def test_line_without_an_end() -> None:
    """What can't be a line is not collected for ever."""
    with pytest.raises(ProtocolViolation):
        list(listed(Stream([b"x" * 65536] * 2), Listing(), 1.0))


@pytest.mark.parametrize("words", [b"ERROR metadump not allowed\r\n", b"CLIENT_ERROR no\r\n", b"SERVER_ERROR no\r\n"])
def test_refusal(words: bytes) -> None:
    """A node that lists nothing is a refusal in its own words."""
    with pytest.raises(ListingRefused, match=words.strip().decode()):
        said(words)


def test_crawler_that_has_to_be_started() -> None:
    """A crawler that is disabled is enabled, and asked again."""
    assert said(b"CLIENT_ERROR lru crawler disabled\r\n", b"OK\r\n", LINES[0] + b"END\r\n") == ITEMS[:1]


def test_crawler_that_can_not_be_started() -> None:
    """A crawler that stays disabled is a refusal."""
    with pytest.raises(ListingRefused, match="disabled"):
        said(b"CLIENT_ERROR lru crawler disabled\r\n", b"ERROR\r\n")


def test_busy() -> None:
    """While another listing runs the node is asked again, and at last that is a refusal."""
    pauses: list[float] = []
    with ScriptedNode([b"BUSY\r\n", b"BUSY\r\n", LINES[0] + b"END\r\n"]) as node:
        found = [item for page in pages(Node.at(node.address), LIMITS, sleep=pauses.append) for item in page]
    assert len(found) == 1 and len(pauses) == 2
    with ScriptedNode(b"BUSY\r\n") as node, pytest.raises(ListingRefused, match="another listing"):
        list(pages(Node.at(node.address), LIMITS, sleep=pauses.append))


def test_listing_that_breaks_off() -> None:
    """A connection that ends before the listing does is a failure, after what had come."""
    with ScriptedNode((b"".join(LINES), CLOSE)) as node:
        listing = items(node.address)
        assert [next(listing) for _ in ITEMS] == ITEMS
        with pytest.raises(ConnectionLost):
            next(listing)


def test_hung_node() -> None:
    """A node that accepts the question and says nothing counts as hung."""
    with ScriptedNode(SILENCE) as node, pytest.raises(NodeTimeout):
        list(pages(Node.at(node.address), LIMITS, silence=0.1))


def test_dead_node() -> None:
    """A node that can't be reached is a failure like any other."""
    with ScriptedNode(SILENCE) as node:
        address = node.address
    with pytest.raises(NodeFailure) as failure:
        list(items(address))
    assert isinstance(failure.value, NodeUnreachable)
