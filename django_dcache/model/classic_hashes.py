"""How classic clients choose the node of a key where md5 does not.

rendezvous          pymemcache's HashClient (pymemcache/client/rendezvous.py): of all nodes the one whose label, hashed
                    together with the key, comes out highest
modula              libmemcached's default: a hash of the key (libhashkit/one_at_a_time.cc), modulo the number of nodes
ketama-unweighted   its behavior KETAMA alone: 100 labels a node on a continuum of that same hash
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import iter_unpack

LABELS = 100
REMEMBERED = 16_384
"""Keys of a ring whose node is remembered: these hashes take Python ten times as long as md5."""
_MASK = 2**32 - 1
_has_port = re.compile(r".*:\d+|/.*").fullmatch

Choose = Callable[[bytes], int]
"""From a key to the place of its node in the list of nodes."""


def rendezvous(names: Sequence[str]) -> Choose:
    labels = [label(name) for name in names]
    # The beginnings of what is hashed are the same for each key.
    heads = [f"{each}-" for each in labels]

    @lru_cache(REMEMBERED)
    def choose(key: bytes) -> int:
        # It takes characters for bytes: of others than Latin-1 it sees the lower half.
        text = key.decode(errors="surrogateescape")
        tail = key if text.isascii() else bytes([ord(character) & 0xFF for character in text])
        scores = [murmur3(head.encode() + tail) for head in heads]
        best = max(scores)
        # Of equal scores the greater label wins.
        return max((place for place, score in enumerate(scores) if score == best), key=labels.__getitem__)

    return choose


def modula(names: Sequence[str]) -> Choose:
    count = len(names)

    @lru_cache(REMEMBERED)
    def choose(key: bytes) -> int:
        return one_at_a_time(key) % count

    return choose


def continuum(names: Sequence[str]) -> Choose:
    labels = [(place, b"%b-%d" % (name.encode(), i)) for place, name in enumerate(names) for i in range(LABELS)]
    owned = sorted((one_at_a_time(text), place) for place, text in labels)
    points, owners = [point for point, _ in owned], [place for _, place in owned]

    @lru_cache(REMEMBERED)
    def choose(key: bytes) -> int:
        index = bisect_left(points, one_at_a_time(key))
        return owners[index if index < len(points) else 0]

    return choose


def label(name: str) -> str:
    """A node as pymemcache calls it: always with its port, and an IPv6 host without brackets."""
    whole = name if _has_port(name.rpartition("]")[2] if "]" in name else name) else f"{name}:11211"
    return whole.replace("[", "").replace("]", "")


def murmur3(data: bytes) -> int:
    """MurmurHash3 of 32 bits, seed 0."""
    whole = len(data) & ~3
    value = 0
    for (block,) in iter_unpack("<I", data[:whole]):
        value ^= _scrambled(block)
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    if tail := data[whole:]:
        value ^= _scrambled(int.from_bytes(tail, "little"))
    value ^= len(data)
    value = ((value ^ value >> 16) * 0x85EBCA6B) & _MASK
    value = ((value ^ value >> 13) * 0xC2B2AE35) & _MASK
    return value ^ value >> 16


def _scrambled(block: int) -> int:
    block = (block * 0xCC9E2D51) & _MASK
    return ((block << 15 | block >> 17) * 0x1B873593) & _MASK


def one_at_a_time(data: bytes) -> int:
    """Jenkins' hash, as libmemcached has it: bytes from 128 on are negative, as they are to C on x86."""
    value = 0
    for byte in data:
        value += byte if byte < 128 else byte - 256
        value = (value + (value << 10)) & _MASK
        value ^= value >> 6
    value = (value + (value << 3)) & _MASK
    value ^= value >> 11
    return (value + (value << 15)) & _MASK
