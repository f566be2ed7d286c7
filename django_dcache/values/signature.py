"""Signed values: who does not have the secret can neither make a value nor pass off that of another key.

A tag says nothing of time. An attacker who can write to a node may put back what it held before (docs/adr/0017).
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import NamedTuple

from ..errors import ConfigurationError, UnreadableValue

TAG_BYTES = 16
_PURPOSE = b"dcache value"
_head = Struct(">II").pack

Tag = Callable[[str, int, bytes], bytes]
"""The tag of bytes with these flags under a made key."""


class Signature(NamedTuple):
    tag: Tag
    """By the first secret."""
    body: Callable[[str, int, bytes], bytes]
    """What follows the tag, once it is proven by any of the secrets. Raises UnreadableValue."""


def signature(secrets: Sequence[bytes], fleet: str) -> Signature:
    """For values in `fleet`. The first secret signs, and all are accepted. Raises ConfigurationError for none."""
    if not secrets:
        raise ConfigurationError("there is nothing to sign with: set OPTIONS['secret'] or SECRET_KEY")
    tags = [_tag(secret, fleet) for secret in secrets]

    def body(made_key: str, flags: int, data: bytes) -> bytes:
        given, rest = data[:TAG_BYTES], data[TAG_BYTES:]
        for tag in tags:
            if compare_digest(tag(made_key, flags, rest), given):
                return rest
        raise UnreadableValue("its signature is not ours, or not of this key")

    return Signature(tags[0], body)


def _tag(secret: bytes, fleet: str) -> Tag:
    # Under the hash of both, so that neither a long secret nor a fleet of the same site can be mistaken for another.
    key = blake2b(len(secret).to_bytes(4, "big") + secret + fleet.encode(), digest_size=32, person=_PURPOSE).digest()
    keyed = blake2b(key=key, digest_size=TAG_BYTES)

    def tag(made_key: str, flags: int, data: bytes) -> bytes:
        state = keyed.copy()  # The key itself is hashed already.
        encoded = made_key.encode("utf-8", "surrogatepass")
        state.update(_head(len(encoded), flags) + encoded)
        state.update(data)
        return state.digest()

    return tag
