"""Envelopes that were tampered with: whatever is done to the flags and the bytes, a value or a miss comes of it."""

from random import Random

import pytest

from django_dcache.conf import Options
from django_dcache.errors import UnreadableValue
from django_dcache.model.stamps import unstamped
from django_dcache.values import codec_for, serializers
from django_dcache.values.chunks import InChunks
from django_dcache.values.conditions import Conditional, Conditions
from support import extras
from support.scale import FULL

MUTATIONS = 10**6 if FULL else 20_000
MOST = 10_000
VALUES = [
    None,
    True,
    -5,
    7.5,
    "",
    "text",
    "a" * 500,
    b"\x00\xff" * 300,
    [1, "two", {"three": [4.0, None]}] * 20,
    {"é": "ü"},
]
COMPRESSORS = list(filter(extras.installed, ("", "zlib", "zstd", "lz4")))
SAFE = list(filter(extras.installed, (name for name in serializers.NAMES if name != "pickle")))


def codec(**options):
    """That of an alias with these options."""
    chosen = Options(**{"secret": "secret", "max_value": MOST, "compress_min_bytes": 100} | options)
    return codec_for(chosen, "default", lambda: chosen.secrets)


def mutated(chance, flags, data):
    """The same, changed in one to three places."""
    for _ in range(chance.randint(1, 3)):
        kind, at = chance.randrange(6), chance.randrange(len(data) + 1)
        if kind == 0:
            flags ^= 1 << chance.randrange(32)
        elif kind == 1:
            flags = chance.getrandbits(chance.choice((5, 9, 18, 32)))
        elif kind == 2:
            data = data[:at]
        elif kind == 3:
            data = data[:at] + chance.randbytes(chance.randint(1, 9)) + data[at:]
        elif kind == 4:
            data = data[:at] + chance.randbytes(1) + data[at + 1 :]
        else:
            data = data[at:] + data[:at]
    return flags, data


def opened(reader, flags, data):
    """What a reader makes of it, whatever the conditions are."""
    try:
        return reader.decode("key", flags, data)
    except Conditional as conditional:
        return conditional.open()


@pytest.mark.parametrize("sign", [False, True])
def test_mutations(sign):
    """A mutated envelope is unreadable or some value; where values are signed no value but a whole number."""
    chance = Random(20261128)
    writers = [codec(serializer=name, compress=by, sign_values=sign) for name in SAFE for by in COMPRESSORS]
    written = [writer.encode("key", value) for writer in writers for value in VALUES]
    conditions = Conditions({"product:7": b"\0" * 8, "é": b"12345678"}, 1.5e9)
    written += [writer.encode_conditional("key", (value, conditions)) for writer in writers for value in VALUES]
    # A mutated pickle would run, where pickles are read at all: these readers take none.
    reader = codec(serializer="json", read_serializers=SAFE, sign_values=sign)
    for number in range(MUTATIONS // 2):
        original = written[number % len(written)]
        flags, data = mutated(chance, *original)
        try:
            value = opened(reader, flags, data)
        except (UnreadableValue, InChunks):
            continue
        assert not sign or type(value) is int or (unstamped(flags), data) == original


def test_every_flag():
    """Of all flags of twelve bits, all compressors and each single bit, only those in the documentation are read."""
    reader = codec(serializer="json")
    read = set()
    for flags in [*range(2**12), *(by << 16 for by in range(1, 256)), *(1 << bit for bit in range(32))]:
        try:
            reader.decode("key", flags, b"5")
        except (UnreadableValue, InChunks):
            continue
        read.add(unstamped(flags))
    assert read == {0, 2, 4, 16, 1 << 8}
