"""A KEY_FUNCTION for sites whose keys may hold anything: `"KEY_FUNCTION": "django_dcache.keys.safe_key"`."""

import re
from hashlib import sha256
from typing import Any

MOST_BYTES = 200
"""A longer key, with prefix and version, is hashed. Nodes take 250 bytes, of which the fleet needs a few."""
HASHED = "~"
"""In a made key: it was hashed. Then there is no way back to what the application calls it."""
HEAD_BYTES = 60
"""So much of it is kept, for an operator to read."""
_plain = re.compile(rb"[!-~]{1,%d}" % MOST_BYTES).fullmatch
_odd = re.compile(rb"[^!-~]")


def safe_key(key: Any, key_prefix: str, version: int) -> str:
    """As Django's own, "prefix:version:key", where that is short, printable ASCII, and without spaces and "~". Of any
    other the beginning and a SHA-256 of all of it: no two keys are ever taken for each other."""
    made = f"{key_prefix}:{version}:{key}"
    encoded = made.encode("utf-8", "surrogatepass")
    if _plain(encoded) and HASHED not in made:
        return made
    return f"{_odd.sub(b'_', encoded[:HEAD_BYTES]).decode()}{HASHED}{sha256(encoded).hexdigest()}"
