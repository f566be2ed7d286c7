"""docs/reference/envelope.md: its golden vectors are what the code writes and reads."""

import ast
import re

import pytest

from django_dcache.conf import Options
from django_dcache.values import codec_for
from django_dcache.values.conditions import Conditional, Conditions
from support import extras
from support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/reference/envelope.md").read_text()
VECTORS = re.findall(r"^\| `(.*?)` \| `(\{.*?\})` \| `(.*?)` \| (\d+) \| `([0-9a-f]+)` \|$", PAGE, re.MULTILINE)

CONDITIONAL = re.findall(
    r"^\| `(.*?)` \| `(\{.*?\})` \| `(.*?)` \| `(\{.*?\})` \| ([0-9.inf]+) \| (\d+) \| `([0-9a-f]+)` \|$",
    PAGE,
    re.MULTILINE,
)


def value_of(code):
    """A literal, or one times a number."""
    literal, _, times = code.partition(" * ")
    value = ast.literal_eval(literal)
    return value * int(times) if times else value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector[0]} {vector[1]}"[:60])
def test_golden_vectors(vector):
    """Each vector is read as its value, and the value is written as the vector where no compressor has a say."""
    code, chosen, made_key, flags, hexadecimal = vector
    value, options = value_of(code), Options(**ast.literal_eval(chosen))
    missing = [name for name in (options.serializer, options.compress) if not extras.installed(name)]
    if missing:
        pytest.skip(f"needs django-dcache[{missing[0]}]")
    codec = codec_for(options, "default", lambda: options.secrets)
    written = codec.encode(made_key, value)
    assert codec.decode(made_key, int(flags), bytes.fromhex(hexadecimal)) == value
    assert written[0] == int(flags) and (options.compress or written[1].hex() == hexadecimal)


def test_there_are_vectors():
    """The table is found, and shows each kind of envelope."""
    assert {int(flags) for _, _, _, flags, _ in VECTORS} == {0, 1, 2, 16, 24, 48, 256, 296, 512, 65552, 131088}


@pytest.mark.parametrize("vector", CONDITIONAL, ids=lambda vector: f"{vector[0]} {vector[3]}"[:60])
def test_golden_vectors_with_conditions(vector):
    """Each vector with conditions is what the code writes, and is read as its value on these conditions."""
    code, chosen, made_key, versions, renew_at, flags, hexadecimal = vector
    tags = {tag: bytes.fromhex(version) for tag, version in ast.literal_eval(versions).items()}
    conditions, options = Conditions(tags, float(renew_at)), Options(**ast.literal_eval(chosen))
    codec = codec_for(options, "default", lambda: options.secrets)
    written = codec.encode_conditional(made_key, (value_of(code), conditions))
    assert written == (int(flags), bytes.fromhex(hexadecimal))
    with pytest.raises(Conditional) as raised:
        codec.decode(made_key, *written)
    assert (raised.value.conditions, raised.value.open()) == (conditions, value_of(code))


def test_there_are_vectors_with_conditions():
    """They are found: alone, and signed."""
    assert {int(flags) & 160 for *_, flags, _ in CONDITIONAL} == {128, 160}
