"""What is done once for every key of a batch: pure functions, which the extra `speed` has once more in C.

tests/unit/engines/memcached/test_speed.py proves both equal. `places`, here, are the keys as `Known` has them.
"""

import re
from collections import defaultdict

from ...runtime.plan import Known
from ...transport.pool import Pool

Found = dict[str, tuple[int, bytes]]
"""(flags, data) by made key."""

OUT_OF_STEP = -1
"""In place of a position: what is there is no answer to what was asked."""

# What is longer than this, in digits or in bytes, is left to the flow.
_answer = re.compile(rb"(?:VA (\d{1,8}) f(\d{1,9})|EN) O(\d{1,10})( Z)?\r\n").match
_header = re.compile(rb"VA (\d{1,8}) f(\d{1,9}) O(\d{1,10})\r\n").match


def readers(places: list[Known]) -> tuple[dict[Pool, list[Known]], list[str]]:
    """Whom to ask for what, and the made keys that have nobody to be asked."""
    groups: dict[Pool, list[Known]] = defaultdict(list)
    rest: list[str] = []
    for known in places:
        read = known.read
        if read is None:
            rest.append(known.made_key)
        else:
            groups[read.pool].append(known)
    return groups, rest


def removals(places: list[Known]) -> tuple[dict[Pool, list[bytes]], list[str]]:
    """The commands for each node that delete every copy, and the made keys that have none that may be written."""
    groups: dict[Pool, list[bytes]] = defaultdict(list)
    rest: list[str] = []
    for known in places:
        write = known.write
        if not write:
            rest.append(known.made_key)
        for _, pool, _, remove in write:
            groups[pool].append(remove)
    return groups, rest


def questions(asked: list[Known], opaque: int) -> bytes:
    """One command for each of `asked`, which all have somebody to be asked, numbered from `opaque` on."""
    numbered = enumerate(asked, opaque)
    return b"".join([b"mg %b v f O%d\r\n" % (known.read.key, number) for number, known in numbered if known.read])


def answers(
    data: bytes, position: int, asked: list[Known], number: int, opaque: int, found: Found, missed: list[str]
) -> tuple[int, int]:
    """Read the answers in `data`, from `position` on, to `questions(asked, opaque)`, from its `number`th on.

    What is there goes to `found`; what is not, and may be elsewhere, to `missed`: a stub is no value. Returns the
    position and the number at which to go on when more has come, or OUT_OF_STEP and the number that went wrong.
    """
    while number < len(asked):
        match = _answer(data, position)
        if match is None:
            return (position if data.find(b"\n", position) < 0 else OUT_OF_STEP), number
        size, flags, echo, stub = match.groups()
        if int(echo) != opaque + number:
            return OUT_OF_STEP, number
        start = end = match.end()
        if size is not None:
            end = start + int(size) + 2
            if len(data) < end:
                return position, number
            if not data.startswith(b"\r\n", end - 2):
                return OUT_OF_STEP, number
        known = asked[number]
        if size is not None and not stub:
            found[known.made_key] = int(flags), data[start : end - 2]
        elif not known.last:
            missed.append(known.made_key)
        position = end
        number += 1
    return position, number


def header(data: bytes, opaque: int) -> tuple[int, int, int] | None:
    """The flags of the one value that `data` begins with, and where it starts and stops; None if it is not that."""
    if (match := _header(data)) and int(match[3]) == opaque:
        return int(match[2]), match.end(), match.end() + int(match[1])
    return None
