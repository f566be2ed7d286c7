"""The index of a value in chunks: what it says of them, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.errors import UnreadableValue
from django_dcache.model.keys import digest, is_chunk, name, parse_wire_key, position, wire_key
from django_dcache.values.chunks import LEAST_BYTES, ROUND_BYTES, Index

IDENTITY = b"identity 12b"


@given(st.text("ab{}", min_size=1, max_size=250), st.integers(1, 10**7), st.integers(2, 10**8), st.booleans())
def test_chunks(made_key, chunk_bytes, length, hash_tags):
    """Chunks follow each other without a gap, lie where their key does, and are carried some megabytes at a time."""
    chunk_bytes = max(chunk_bytes, length // 300)
    place = digest(name(made_key, hash_tags=hash_tags), hash_tags)
    rounds = list(Index(IDENTITY, chunk_bytes, length).rounds(place))
    chunks = [chunk for several in rounds for chunk in several]
    assert [chunk.begin for chunk in chunks] == [0, *(chunk.end for chunk in chunks[:-1])] and chunks[-1].end == length
    assert len({chunk.name for chunk in chunks}) == len(chunks)
    assert all(position(chunk.name, hash_tags) == position(name(made_key), hash_tags) for chunk in chunks)
    assert all(chunk.end - chunk.begin == chunk_bytes for chunk in chunks[:-1])
    assert all(len(several) == 1 or several[-1].end - several[0].begin <= ROUND_BYTES for several in rounds)


def test_names():
    """A chunk's name is one that every release carries along, with any generation; and no key's is taken for one."""
    ((chunk,),) = Index(IDENTITY, 5, 5).rounds(digest(b"key"))
    assert is_chunk(chunk.name) and parse_wire_key(wire_key(chunk.name, 7)) == (chunk.name, 7)
    assert not is_chunk(name("k" * 250)) and not is_chunk(name("0" * 250)) and not is_chunk(b"k" * 100)
    ((other,),) = Index(b"another one!", 5, 5).rounds(digest(b"key"))
    assert other.name != chunk.name


@given(st.binary(max_size=40))
def test_what_is_no_index(data):
    """Any bytes are an index of at least two chunks, within the limit, or unreadable."""
    try:
        index = Index.decode(data, 10**6)
    except UnreadableValue:
        return
    assert LEAST_BYTES <= index.chunk_bytes < index.length <= 10**6 and index.encode() == data


@pytest.mark.parametrize(
    ("chunk_bytes", "length"), [(999, 10**5), (5000, 5000), (1000, 0), (1000, 10**6 + 1), (2**32 - 1, 2**63)]
)
def test_sizes_that_can_not_be(chunk_bytes, length):
    """An index whose sizes no writer makes is unreadable, before anything is asked for."""
    with pytest.raises(UnreadableValue, match="index of"):
        Index.decode(Index(IDENTITY, chunk_bytes, length).encode(), 10**6)
