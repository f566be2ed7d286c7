"""Keys: what reaches a node is always one token, and never somebody else's."""

from hashlib import md5

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_dcache.errors import InvalidKey
from django_dcache.model.keys import (
    MAX_KEY_BYTES,
    MAX_NAME_BYTES,
    RESERVED,
    name,
    parse_wire_key,
    plainly_legal,
    position,
    wire_key,
)

LIMIT = 10**8
"""Generations have at most eight digits."""

anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)
printable = st.text(st.characters(min_codepoint=0x21, exclude_categories=("Cs", "Zs", "Cc")), min_size=1, max_size=250)
generations = st.integers(0, LIMIT - 1)
made_keys = st.one_of(anything, printable, st.text("a{}é", min_size=230, max_size=250))


def named(made_key):
    """The name, or None where there is none."""
    try:
        return name(made_key)
    except InvalidKey:
        return None


def test_every_code_point():
    """Each code point either makes a key invalid or reaches the node within one token."""
    for code in range(0x110000):
        if (key := named(f"k{chr(code)}")) is not None:
            assert min(key) > 0x20 and 0x7F not in key
        else:
            assert code <= 0x20 or code == 0x7F or 0xD800 <= code < 0xE000


@given(made_keys, generations)
def test_one_token(made_key, generation):
    """Whatever the made key and the generation, memcached takes the wire key as one token."""
    if (key := named(made_key)) is not None:
        wire = wire_key(key, generation)
        assert 0 < len(wire) <= MAX_KEY_BYTES
        assert min(wire) > 0x20 and 0x7F not in wire


@given(st.lists(made_keys | st.just(f"x{RESERVED.decode()}"), min_size=1))
def test_many_at_once(several):
    """What one look at many keys takes for legal is legal, each of them; usual keys are."""
    assert not plainly_legal(several) or None not in map(named, several)
    assert plainly_legal([f":1:item:{number}" for number in range(9)])


@given(made_keys)
def test_what_is_refused(made_key):
    """A key is refused only for its length, its bytes, or for being reserved."""
    if named(made_key) is None:
        raw = made_key.encode("utf-8", "surrogatepass")
        surrogate = any(0xD800 <= ord(letter) < 0xE000 for letter in made_key)
        token = 0 < len(raw) <= MAX_KEY_BYTES and min(raw) > 0x20 and 0x7F not in raw
        assert surrogate or not token or raw.startswith(RESERVED)


@pytest.mark.parametrize(
    ("made_key", "reason"),
    [
        ("", "empty"),
        ("a b", "space or a control"),
        ("a\r\nflush_all", "space or a control"),
        ("a\x7f", "space or a control"),
        ("é" * 126, "252 bytes"),
        ("a b" * 83 + "a", "space or a control"),
        ("_dc:default:state", "fleet state"),
        ("\ud800", "UTF-8"),
    ],
)
def test_complaints(made_key, reason):
    """A refusal says what is wrong with the key."""
    with pytest.raises(InvalidKey, match=reason):
        name(made_key)


def test_limits():
    """A key of 250 bytes is good, one of 251 is not; bytes count, not characters."""
    assert len(name("k" * MAX_NAME_BYTES)) == MAX_NAME_BYTES
    assert len(wire_key(name("k" * 250), LIMIT - 1)) <= MAX_KEY_BYTES
    assert len(name("é" * 125)) < MAX_NAME_BYTES
    with pytest.raises(InvalidKey):
        name("k" * 251)


@given(made_keys, generations, made_keys, generations)
@example("1;a", 0, "a", 1)
@example("a" * 249, 1, "a" * 250, 1)
@example("a" * 241, 0, "a" * 242, 0)
@example("ÿ1;a", 0, "a", 1)
@example("1;a", 2, "a", 21)
def test_no_two_alike(one, generation, other, other_generation):
    """Two different (made key, generation) never share a wire key."""
    a, b = named(one), named(other)
    if a is not None and b is not None and (one, generation) != (other, other_generation):
        assert wire_key(a, generation) != wire_key(b, other_generation)


@given(st.lists(made_keys, unique=True, min_size=2, max_size=30), st.lists(generations, unique=True, min_size=1))
def test_no_two_alike_among_many(several, numbers):
    """Nor do any two of many."""
    names = [key for key in map(named, several) if key is not None]
    assert len({wire_key(key, number) for key in names for number in numbers}) == len(names) * len(numbers)


@given(made_keys, generations)
@example("1;a", 7)
@example("a" * 250, 7)
@example("#" * 250, 0)
def test_parse_inverts(made_key, generation):
    """From a stored key its name and generation can be read back."""
    if (key := named(made_key)) is not None:
        assert parse_wire_key(wire_key(key, generation)) == (key, generation)


@given(st.binary(max_size=260) | st.binary(max_size=250).map(b"\xff".__add__))
@example(b"\xff~1;a")
@example(b"\xff7;\xff~1;a")
@example(b"\xff7;\xff#" + b"0123456789abcdef" * 6)
def test_what_a_node_lists(stored):
    """Whatever a node says it holds is a key that we make ourselves, byte for byte, or none of ours."""
    parsed = parse_wire_key(stored)
    if parsed is not None:
        assert wire_key(*parsed) == stored
        assert len(parsed[0]) <= MAX_NAME_BYTES and min(stored) > 0x20 and 0x7F not in stored


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff",
        b"\xff#",
        b"\xff#" + b"0" * 95 + b"g",
        b"\xff;a",
        b"\xff7;",
        b"\xff0;a",
        b"\xff007;a",
        b"\xff7;\xff8;a",
        b"\xff\xb2;a",
        b"\xff" + b"9" * 5000 + b";a",
        b"\xff123456789;a",
        b"\x80\x81",
        b"\xff~1;\x80",
        b"a b",
        b"a\r\nflush_all",
        b"a\xff",
        b"k" * 241,
        b"\xff~1;" + b"k" * 240,
    ],
    ids=lambda key: ascii(key[:20]),
)
def test_keys_of_other_software(stored):
    """A listed key that this software never makes, or that would be several tokens, is none of ours."""
    assert parse_wire_key(stored) is None


@given(st.binary().map(b"\xff".__add__) | st.binary().map(b"\xff#".__add__))
def test_every_name_has_a_place(foreign):
    """Placing never fails, whatever bytes are called a name."""
    assert 0 <= position(foreign).slot < 256


@pytest.mark.parametrize("generation", [LIMIT, LIMIT**2])
def test_a_wire_key_that_is_too_long(generation):
    """A key that a node would refuse, and whose value it would take for commands, is never made."""
    with pytest.raises(InvalidKey, match="limit is 250"):
        wire_key(b"k" * MAX_NAME_BYTES, generation)


@given(made_keys)
@example("k" * 250)
def test_position_of_a_key(made_key):
    """A key is placed by the first four bytes of its md5, also a long one, which is stored under another name."""
    if (key := named(made_key)) is not None:
        digest = md5(made_key.encode()).digest()
        assert position(key) == (int.from_bytes(digest[:4], "little"), digest[4])


@pytest.mark.parametrize("made_key", ["{user}:cart", "x{user}y", "x{user}{other}", "{user}}"])
def test_hash_tags(made_key):
    """With hash tags, what stands in the first pair of braces is all that places a key."""
    assert position(name(made_key), hash_tags=True) == position(b"user")
    assert position(name(made_key)) != position(b"user")


@pytest.mark.parametrize("generation", [0, 3])
def test_the_hash_tag_of_a_long_key(generation):
    """With hash tags, a key that is stored under another name for its length is placed by its tag as well."""
    long_key = "{user}" + "x" * (MAX_KEY_BYTES - 6)
    assert position(name(long_key, generation, hash_tags=True), hash_tags=True) == position(b"user")
    assert position(name(long_key, generation), hash_tags=False) == position(long_key.encode())


@pytest.mark.parametrize("made_key", ["{}", "{", "}", "x{}y", "}user{", "{user", "user"])
def test_no_hash_tag(made_key):
    """Empty, unclosed and missing braces tag nothing."""
    assert position(name(made_key), hash_tags=True) == position(name(made_key))


def test_reserved_keys_are_out_of_reach():
    """No made key, however long, gets the wire key of a reserved one."""
    with pytest.raises(InvalidKey):
        name(RESERVED.decode() + "x" * 246)
    assert named("x_dc:default:state") == b"x_dc:default:state"
