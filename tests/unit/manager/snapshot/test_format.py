"""The bytes of a snapshot, and what is made of bytes that are none."""

import zlib
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcache_manager.snapshot import format as form
from dcache_manager.snapshot.file import Reader, Writer
from dcache_manager.snapshot.format import (
    FRAME,
    BadSnapshot,
    ChangedSnapshot,
    Header,
    Records,
    decode_frame,
    encode_frame,
    legal,
)

HEADER = Header("shop", "default", 1_700_000_000.0)
names = st.text(st.characters(min_codepoint=0x21, exclude_characters="\x7f", codec="utf-8"), min_size=1, max_size=60)
numbers = st.integers(0, 2**32 - 1)
items = st.tuples(names.map(str.encode), numbers, numbers, st.binary(max_size=300))


def frame(count, raw, packed=None):
    """What `decode_frame` is given for a frame with these bytes in it, all checksums being right."""
    packed = zlib.compress(raw, 1) if packed is None else packed
    return count, len(raw), packed, zlib.crc32(packed)


@given(st.lists(items, min_size=1, max_size=40))
def test_round_trip(found):
    """What goes into a frame comes out of it, whatever the names, flags, deadlines and data."""
    found = [item for item in found if legal(item[0])] or [(b"k", 0, 0, b"")]
    encoded = encode_frame(Records(*zip(*found, strict=True)))
    _, count, size, length, checksum = FRAME.unpack_from(encoded)
    assert length == len(encoded) - FRAME.size
    assert [*zip(*decode_frame(count, size, encoded[FRAME.size :], checksum), strict=True)] == found


@given(st.integers(0, 9000), st.binary(max_size=200))
def test_any_bytes_as_a_frame(count, raw):
    """Any bytes at all are items that may be sent, or a BadSnapshot: never another error."""
    for packed in (None, raw):
        try:
            assert all(map(legal, decode_frame(*frame(count, raw, packed)).names))
        except BadSnapshot:
            pass


@pytest.mark.parametrize(
    "name",
    [b"a b", b"a\r\nflush_all", b"", b"_dc:default", b"\xff3;a", b"\xff", b"\xff#" + b"g" * 96, b"\x00", b"k" * 241],
)
def test_names_that_no_node_may_be_sent(name):
    """A name that would split a command, spell another generation or meet the fleet's own keys is refused."""
    assert not legal(name)
    with pytest.raises(BadSnapshot):
        decode_frame(*frame(1, pack("<3I", 0, 0, 1) + name + b"\nx"))


@pytest.mark.parametrize(
    ("count", "raw"),
    [
        (1, pack("<3I", 0, 0, 2) + b"k\nx"),  # a value longer than what is there
        (1, pack("<3I", 0, 0, 0) + b"k\nx"),
        (2, pack("<6I", 0, 0, 0, 0, 2**32 - 1, 2**32 - 1) + b"k\nk\n"),
        (2, pack("<6I", 0, 0, 0, 0, 0, 1) + b"k\nx"),  # one name for two items
        (5, pack("<3I", 0, 0, 0) + b"k\n"),
        (1, pack("<3I", 0, 0, 1) + b"kx"),
    ],
)
def test_frames_that_lie(count, raw):
    """Sizes and numbers that do not fit each other are seen, and nothing is made of them."""
    with pytest.raises(BadSnapshot):
        decode_frame(*frame(count, raw))


def test_a_bomb(tmp_path):
    """A frame that would unpack to more than it says is given up there, and one that says too much is not begun."""
    bomb = zlib.compress(bytes(2**26), 9)
    with pytest.raises(BadSnapshot):
        decode_frame(1, 1000, bomb, zlib.crc32(bomb))
    path = tmp_path / "bomb"
    path.write_bytes(
        HEADER.encode() + FRAME.pack(b"F", 1, form.MAX_FRAME_BYTES + 1, len(bomb), zlib.crc32(bomb)) + bomb
    )
    with path.open("rb") as file, pytest.raises(BadSnapshot, match="larger"):
        Reader(file).verify()


@pytest.fixture
def snapshot(tmp_path):
    """A small one, of two frames."""
    with Writer(tmp_path / "small", HEADER) as writer:
        for number in range(4096 + 40):
            writer.add(b"k%d" % number, number, 0, b"value" * (number % 3))
    return tmp_path / "small"


def read(data, path):
    """All items of a snapshot with these bytes. Raises BadSnapshot."""
    path.write_bytes(data)
    with path.open("rb") as file:
        reader = Reader(file)
        contents = reader.verify()
        found = [name for _, records in reader.frames() for name in records.names]
    assert len(found) == contents.items
    return found


def test_a_file(snapshot):
    """A file gives back its header, and its items in their order; nothing else is left lying about."""
    assert read(snapshot.read_bytes(), snapshot) == [b"k%d" % number for number in range(4096 + 40)]
    with snapshot.open("rb") as file:
        assert Reader(file).header == HEADER
    assert [path.name for path in snapshot.parent.iterdir()] == ["small"]


def test_truncated(snapshot):
    """Cut off anywhere, a snapshot is refused: nothing of it is given out."""
    data = snapshot.read_bytes()
    for length in {*range(80), *range(0, len(data), len(data) // 25), *range(len(data) - 60, len(data))}:
        with pytest.raises(BadSnapshot):
            read(data[:length], snapshot)
    with pytest.raises(BadSnapshot, match="follow its end"):
        read(data + b"x", snapshot)


def test_altered(snapshot):
    """With any one bit turned over, a snapshot is refused."""
    data = snapshot.read_bytes()
    for offset in {*range(80), *range(0, len(data), len(data) // 25), *range(len(data) - 60, len(data))}:
        with pytest.raises(BadSnapshot):
            read(data[:offset] + bytes([data[offset] ^ 1 << offset % 8]) + data[offset + 1 :], snapshot)


def test_changed_between_two_readings(snapshot):
    """What is changed after it was verified is seen when it is read, and the end is not believed to come sooner."""
    with snapshot.open("rb") as file:
        reader = Reader(file)
        reader.verify()
        data = snapshot.read_bytes()
        for changed in (data[:-500], data[: len(data) // 2] + b"?" + data[len(data) // 2 + 1 :]):
            snapshot.write_bytes(changed)
            with pytest.raises(ChangedSnapshot):
                list(reader.frames())


def test_another_format(snapshot):
    """A format of another release is named, and the one that this release reads."""
    data = snapshot.read_bytes()
    newer = form.PREAMBLE.pack(form.MAGIC, 2, 0)
    with pytest.raises(BadSnapshot, match="format 2, and this release reads format 1"):
        read(newer + data[len(newer) :], snapshot)


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"fleet": 1, "alias": "", "began": 1.0}', b"[" * 4000])
def test_headers_that_make_no_sense(document):
    """Whatever is no header is refused."""
    with pytest.raises(BadSnapshot):
        Header.decode(document)


def test_broken_off(tmp_path):
    """A dump that fails leaves the snapshot before it as it was."""
    (tmp_path / "kept").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), Writer(tmp_path / "kept", HEADER) as writer:
        writer.add(b"k", 0, 0, b"v")
        assert 1 / 0
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("kept", b"before")]
