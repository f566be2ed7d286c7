"""docs/reference/envelope.md: its golden vectors are what the code writes and reads."""

import ast
import re

import pytest

from django_dcache.conf import Options
from django_dcache.values import codec_for
from support import extras
from support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/reference/envelope.md").read_text()
VECTORS = re.findall(r"^\| `(.*?)` \| `(\{.*?\})` \| `(.*?)` \| (\d+) \| `([0-9a-f]+)` \|$", PAGE, re.MULTILINE)


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
