"""What keepers hold beside values: the fleet state, the conductor's lease, the progress of a resize; signed.

A node is hostile input, and every process follows what its keepers say. So a document counts only if this project
signed it, and only if it is plausible. A keeper that holds another one is as good as silent, and is
left alone until an operator mends it (docs/adr/0027).

    {"format":3,"signatures":["…"],"state":{…}}    the state; signed are the bytes of the inner object
    SIGNATURE UNTIL DOCUMENT                       any other, and the Unix time until which it counts
"""

import hmac
import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from ..errors import UnknownFormat, UntrustedState
from .plausible import reason_against
from .state import FleetState

SIGNED_FORMAT = 3
"""Releases that know no signatures take it for one that they can't read, and leave it alone."""
MODES = ("required", "on", "off")
"""Signed states are written, and no others read; signed ones are written, both are read; unsigned ones are written,
both are read."""
LATE_SECONDS = 300
"""By how much the clocks of two machines may differ. What has expired is dropped by the node itself, unless an attacker
stored it once more."""
FOR_EVER = 10**11
LEASE, REPORT, TRACE = b"lease", b"report", b"trace"
"""The kinds of documents beside the state: the conductor's lease, its last report, how high generations are."""
_FOREIGN = (
    'it is signed with another secret: another project\'s (then give this fleet a name, as OPTIONS["fleet"]), or ours '
    "before it changed (then keep the old one in SECRET_KEY_FALLBACKS)"
)
_UNSIGNED = (
    'it is not signed: an older release wrote it (on the way from one set OPTIONS["sign_state"]), or an attacker'
)
_format = re.compile(rb'\s*\{\s*"format"\s*:\s*(\d{1,9})\b').match
_signed = re.compile(rb'\{"format":3,"signatures":\["([0-9a-f",]{64,999})"\],"state":').match
_sealed = re.compile(rb"([0-9a-f]{64}) ((\d{1,12}) (.*))", re.DOTALL).fullmatch


class Document(NamedTuple):
    """A keeper's state, which may be believed."""

    state: FleetState
    current: bool
    """Whether it bears each signature that this process would give it; else it is to be written again."""


class Documents:
    """How the processes of one project write what the keepers of a fleet hold, and which of it they believe.

    Each of the secrets signs, so that a process that knows only one of them reads what the others write. Without any,
    nothing is signed, and no signature is checked.
    """

    def __init__(self, fleet: str = "", secrets: Callable[[], Sequence[bytes]] = tuple, mode: str = "off"):
        self._fleet, self._secrets, self._mode = fleet, secrets, mode

    def of(self, fleet: str) -> "Documents":
        """How the same project writes those of another fleet."""
        return Documents(fleet, self._secrets, self._mode)

    def write(self, state: FleetState) -> bytes:
        """The document of a state."""
        data = state.encode()
        if not self._signs:
            return data
        signatures = b'","'.join(self._signatures(b"state", data))
        return b'{"format":%d,"signatures":["%b"],"state":%b}' % (SIGNED_FORMAT, signatures, data)

    def read(self, data: bytes, epoch: int = 0, node: str | None = None) -> Document:
        """The state in the document that `node` holds, for a process that knows of `epoch`.

        Raises UnknownFormat and UntrustedState for what must be left alone, InvalidTopology for what makes no sense.
        """
        signed = _signed(data)
        payload, theirs = (data[signed.end() : -1], signed[1].split(b'","')) if signed else (data, [])
        ours = self._signatures(b"state", payload) if signed or self._signs else []
        if signed:
            if self._keys and not _any_of(theirs, ours):
                raise UntrustedState(_FOREIGN, node=node)
        elif (newer := _format(data)) and int(newer[1]) >= SIGNED_FORMAT:
            raise UnknownFormat(f"format {int(newer[1])}, this release knows up to {SIGNED_FORMAT}", node=node)
        elif self._strict and data.lstrip()[:1] == b"{":
            raise UntrustedState(_UNSIGNED, node=node)
        state, reason = _judged(payload, epoch)
        if reason:
            raise UntrustedState(reason, node=node)
        return Document(state, not self._signs or set(ours) <= set(theirs))

    def seal(self, kind: bytes, data: bytes, until: float = FOR_EVER) -> bytes:
        """A document of another kind, which counts until then (Unix time)."""
        if not self._signs:
            return data
        body = b"%d %b" % (until, data)
        return b"%b %b" % (self._signatures(kind, body)[0], body)

    def unseal(self, kind: bytes, data: bytes, now: float = 0) -> bytes | None:
        """What was sealed, or None if it is not to be believed, or not at this time any more."""
        sealed = _sealed(data)
        if sealed is None:
            return None if self._strict else data
        proven = not self._keys or _any_of([sealed[1]], self._signatures(kind, sealed[2]))
        return bytes(sealed[4]) if proven and now < int(sealed[3]) + LATE_SECONDS else None

    @cached_property
    def _keys(self) -> tuple[bytes, ...]:
        # Derived, so that a signature means nothing anywhere else, nor in another fleet of the project.
        purpose = b"dcache document\0" + self._fleet.encode()
        return tuple(hmac.digest(secret, purpose, "sha256") for secret in self._secrets())

    @property
    def _signs(self) -> bool:
        return self._mode != "off" and bool(self._keys)

    @property
    def _strict(self) -> bool:
        return self._mode == "required" and bool(self._keys)

    def _signatures(self, kind: bytes, data: bytes) -> list[bytes]:
        return [hmac.digest(key, kind + b"\0" + data, "sha256").hex().encode() for key in self._keys]


def _any_of(theirs: Collection[bytes], ours: Collection[bytes]) -> bool:
    return any(hmac.compare_digest(one, other) for one in theirs for other in ours)


@lru_cache(maxsize=4)  # Keepers hold the same, and one whose state is refused holds it for long.
def _judged(payload: bytes, epoch: int) -> tuple[FleetState, str | None]:
    """The state, and why it is refused."""
    state = FleetState.decode(payload)
    return state, reason_against(state, epoch)


UNSIGNED = Documents()
