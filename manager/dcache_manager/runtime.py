"""A directory of ours on this machine for what lives no longer than the machine is up."""

import os
import tempfile
from pathlib import Path

from django_dcache.errors import ConfigurationError


def folder() -> Path:
    """$DCACHE_RUNTIME_DIR, $XDG_RUNTIME_DIR/dcache or /tmp/dcache-UID; made if need be, for nobody else to enter."""
    given, session = os.environ.get("DCACHE_RUNTIME_DIR"), os.environ.get("XDG_RUNTIME_DIR")
    if given:
        place = Path(given)
    elif session and Path(session).is_dir():
        place = Path(session) / "dcache"
    else:
        place = Path(tempfile.gettempdir()) / f"dcache-{os.geteuid()}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.lstat()
    except OSError as error:
        raise ConfigurationError(f"no place for run-time files: {error}; set DCACHE_RUNTIME_DIR") from None
    # In /tmp anybody could have made it first, and would choose which processes `local down` ends.
    if found.st_uid != os.geteuid() or (not given and found.st_mode & 0o077):
        raise ConfigurationError(f"{place} is not ours alone; set DCACHE_RUNTIME_DIR")
    return place
