"""Signed values: nobody without the secret makes one, none counts for another key, and secrets can be rotated."""

import pickle

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.conf import Options
from django_dcache.errors import ConfigurationError, UnreadableValue
from django_dcache.model.stamps import unstamped
from django_dcache.values import codec_for
from django_dcache.values.chunks import InChunks
from django_dcache.values.envelope import SIGNED
from django_dcache.values.signature import TAG_BYTES, signature
from support import extras
from support.own_serializers import Witness

KEY = ":1:session"
VALUE = {"user": 7, "cart": ["a"] * 300}
ran = []
values = st.none() | st.text() | st.binary() | st.floats(allow_nan=False) | st.lists(st.integers())


class Planted:
    """Unpickling it runs code."""

    def __reduce__(self):
        return ran.append, ("ran",)


def codec(secret="secret", fleet="default", **options):
    """That of an alias that signs, with these options."""
    chosen = Options(**{"sign_values": True, "secret": secret} | options)
    return codec_for(chosen, fleet, lambda: chosen.secrets)


unsigned = codec(sign_values=False)


@given(st.text(max_size=250), values)
def test_round_trip(key, value):
    """What was signed under a key comes back under that key."""
    mine = codec()
    flags, data = mine.encode(key, value)
    assert flags & SIGNED and mine.decode(key, flags, data) == value


def refused(key, flags, data, by=None):
    """Whether it is unreadable to a reader who wants signatures."""
    try:
        (by or codec()).decode(key, flags, data)
    except (UnreadableValue, InChunks):
        return not ran
    return False


def test_a_planted_pickle():
    """A pickle that was put on a node is unreadable, signed with another secret or not, and its code never runs."""
    assert refused(KEY, *unsigned.encode(KEY, Planted()))
    assert refused(KEY, *codec("theirs").encode(KEY, Planted()))
    assert refused(KEY, 1 | SIGNED, pickle.dumps(Planted()))
    assert refused(KEY, 1 | SIGNED, b"\0" * TAG_BYTES + pickle.dumps(Planted()))
    assert ran == []


def test_another_keys_envelope():
    """A value that was signed under another key, or in another fleet of the site, is unreadable."""
    flags, data = codec().encode(":1:other", VALUE)
    assert refused(KEY, flags, data)
    assert refused(KEY, *codec(fleet="sessions").encode(KEY, VALUE))
    assert not refused(":1:other", flags, data)


def test_other_flags():
    """Signed bytes can't be passed off as another kind of value. Their stamp says nothing of it, and is not signed."""
    flags, data = codec().encode(KEY, b"cos\nsystem\n(S'true'\ntR.")
    for bit in range(32):
        assert refused(KEY, flags ^ 1 << bit, data) or unstamped(1 << bit) == 0, bit


@pytest.mark.parametrize("compress", extras.options("", "zlib", "zstd", "lz4"))
def test_every_bit(compress):
    """A signed value of which any one bit was changed, or any part is missing, is unreadable."""
    mine = codec(compress=compress)
    flags, data = mine.encode(KEY, VALUE)
    number = int.from_bytes(data, "big")
    assert all(
        refused(KEY, flags, (number ^ 1 << bit).to_bytes(len(data), "big"), mine) for bit in range(8 * len(data))
    )
    assert all(refused(KEY, flags, data[:end], mine) for end in range(len(data)))


def test_proven_before_anything_else():
    """Bytes that are not ours reach neither a decompressor nor a serializer."""
    mine, seen = codec(serializer="support.own_serializers.Witness"), Witness.seen
    assert refused(KEY, 16 << 8 | SIGNED, b"\0" * 100, mine) and refused(KEY, 16 << 8, b"x", mine)
    assert seen == []
    assert mine.decode(KEY, *mine.encode(KEY, None)) == b"dumped" and seen == [b"dumped"]


def test_numbers():
    """A whole number is not signed, since the node has to count with it; it reads as a number and as nothing else."""
    assert codec().encode(KEY, 5) == (2, b"5") and codec().decode(KEY, 2, b"6") == 6
    assert refused(KEY, 2, b"six") and refused(KEY, 16, b"6") and refused(KEY, 0, b"6")


def test_key_rotation():
    """With a new secret first and the old one behind it, values of both are read, and the new one signs."""
    old, new, both = codec("old"), codec("new"), codec(["new", "old"])
    assert both.decode(KEY, *old.encode(KEY, VALUE)) == both.decode(KEY, *new.encode(KEY, VALUE)) == VALUE
    assert new.decode(KEY, *both.encode(KEY, VALUE)) == VALUE
    assert refused(KEY, *old.encode(KEY, VALUE), new)


def test_turning_it_on():
    """A site that turns signatures on loses no value: who does not sign yet reads signed ones, and with `read_unsigned`
    those who sign read the others."""
    moving = codec(read_unsigned=True)
    assert unsigned.decode(KEY, *moving.encode(KEY, VALUE)) == VALUE
    assert moving.decode(KEY, *unsigned.encode(KEY, VALUE)) == VALUE
    assert refused(KEY, *codec("theirs").encode(KEY, VALUE), moving)
    assert refused(KEY, *codec("theirs").encode(KEY, VALUE), unsigned)


@pytest.mark.parametrize("secret", ["s", b"s", ["s"], ("s", b"old"), lambda: "s", lambda: [b"s", "old"]])
def test_forms_of_a_secret(secret):
    """A secret is text or bytes, several of them, or a function that returns them; all mean the same."""
    assert codec(secret).encode(KEY, VALUE) == codec("s").encode(KEY, VALUE)


@pytest.mark.parametrize("secret", ["", [], 5, [5], ["s", ""], {"s": 1}])
def test_what_is_no_secret(secret):
    """Anything else is refused, and the refusal does not repeat it."""
    with pytest.raises(ConfigurationError, match="secret is") as refusal:
        Options(secret=secret)
    assert repr(secret) not in str(refusal.value) or secret in ("", [])


def test_nowhere_to_be_read():
    """The secret is in no representation of the options."""
    assert "hush" not in repr(Options(secret="hush", sign_values=True))


def test_without_a_secret():
    """To sign with nothing is an error that says what to set; a signed value is then unreadable."""
    bare = Options(sign_values=True)

    def none():
        raise ConfigurationError("there is nothing to sign with")

    with pytest.raises(ConfigurationError, match="nothing to sign with"):
        codec_for(bare, "default", none)
    with pytest.raises(UnreadableValue, match="nothing to sign with"):
        codec_for(Options(), "default", none).decode(KEY, *codec().encode(KEY, VALUE))


def test_secrets_of_the_site():
    """Without a secret of its own an alias signs with SECRET_KEY, and accepts its fallbacks."""
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert Options().secrets == (b"new", b"old")
    with override_settings(SECRET_KEY=""), pytest.raises(ConfigurationError, match="SECRET_KEY"):
        codec_for(Options(sign_values=True), "default", lambda: Options().secrets)


@given(
    st.tuples(st.text(), st.integers(0, 2**32 - 1), st.binary()),
    st.tuples(st.text(), st.integers(0, 2**32 - 1), st.binary()),
)
def test_no_two_alike(one, other):
    """No two different (key, flags, bytes) are the same message: their lengths are part of it."""
    tag = signature([b"secret"], "default").tag
    assert (tag(*one) == tag(*other)) == (one == other)


def test_read_unsigned_alone():
    """An option that would mean nothing is refused."""
    with pytest.raises(ConfigurationError, match="read_unsigned means nothing without sign_values"):
        Options(read_unsigned=True)
