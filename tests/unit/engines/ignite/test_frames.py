"""Ignite's frames, from chunks cut anywhere and from servers that lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.engines.ignite.frames import TOO_LARGE, Failed, Frame, Frames, cache_id, handshake, key, request
from django_dcache.engines.ignite.scan import Page
from django_dcache.errors import ProtocolViolation


def reply(number, body, flags=0):
    """As a server sends it."""
    content = number.to_bytes(8, "little") + flags.to_bytes(2, "little") + body
    return len(content).to_bytes(4, "little") + content


ERROR = b"\xe8\x03\x00\x00\x09\x02\x00\x00\x00no"
TEXT = reply(7, b"") + reply(1, b"x" * 50) + reply(2, ERROR, 1) + reply(3, b"t" * 12 + b"y", 2)
FRAMES = [Frame(7, b""), Frame(1, b"x" * 50), Frame(2, Failed(1000, "no")), Frame(3, b"y")]


def test_requests():
    """A request has its length, its code and its number before its body, and a cache the hash of its name."""
    assert request(1000, b"body", 5) == b"\x0e\x00\x00\x00\xe8\x03\x05\x00\x00\x00\x00\x00\x00\x00body"
    assert int.from_bytes(cache_id("dcache"), "little", signed=True) == -1337635426, "as Java says"
    assert handshake("me", None).endswith(b"\x09\x02\x00\x00\x00me\x65")
    assert key(b"\xff3;k") == b"\x09\x05\x00\x00\x00" + "\u00ff3;k".encode()


@given(st.sets(st.integers(1, len(TEXT) - 1)))
def test_cut_anywhere(places):
    """Replies are the same however the bytes arrive."""
    frames, edges = Frames(changes=1), [0, *sorted(places), len(TEXT)]
    assert [frame for a, b in zip(edges, edges[1:], strict=False) for frame in frames.feed(TEXT[a:b])] == FRAMES
    assert frames.rest == 0


@given(st.integers(1, 400), st.integers(0, 2))
def test_too_large(size, before):
    """A reply above the limit is skipped while it comes, and what follows is read."""
    frames, text = Frames(100), reply(5, b"a") * before + reply(1, b"x" * 300) + reply(2, b"y")
    found = [frame for start in range(0, len(text), size) for frame in frames.feed(text[start : start + size])]
    assert found == [Frame(5, b"a")] * before + [Frame(1, TOO_LARGE), Frame(2, b"y")]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_noise(noise, cut):
    """Whatever bytes come, they are replies, or more is waited for, or that is a violation; nothing else is raised."""
    frames = Frames(1000)
    try:
        for chunk in (noise[:cut], noise[cut:]):
            list(frames.feed(chunk))
    except ProtocolViolation:
        pass


@pytest.mark.parametrize("size", [-1, 0, 9, 2**31 - 1])
def test_a_size_that_can_not_be(size):
    """A length that no reply has is a violation as soon as it is told."""
    with pytest.raises(ProtocolViolation):
        list(Frames().feed(size.to_bytes(4, "little", signed=True) + b"\x00" * 10))


@given(st.binary(max_size=80))
def test_pages_of_noise(noise):
    """A page that a server makes up is no page, and nothing else is raised."""
    for cursor in (None, 1):
        try:
            Page.read(noise, cursor)
        except ProtocolViolation:
            pass


def test_a_page():
    """Keys are read back byte by byte; what other software keeps is left out."""
    items = key(b"\xff3;k") + b"\x0c\x01\x00\x00\x00v" + key(b"n") + b"\x03\x01\x00\x00\x00"
    page = Page.read(b"\x01" + b"\x00" * 7 + b"\x02\x00\x00\x00" + items + b"\x01", None)
    assert page == Page(1, [(b"\xff3;k", b"v")], True)


def test_servers_that_came_or_went():
    """After the greeting a reply that says that the cluster has changed is no reply: who came may have the past."""
    frames, changed = Frames(changes=1), reply(1, b"t" * 12 + b"y", 2)
    assert list(frames.feed(changed)) == [Frame(1, b"y")], "the first one on a connection says so"
    with pytest.raises(ProtocolViolation, match="come or gone"):
        list(frames.feed(changed))
