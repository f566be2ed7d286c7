"""A SECRET_KEY for a shop that was given none."""

import contextlib
import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key


def shared_secret(file: Path) -> str:
    """Return the key kept in `file`, made on first use.

    It lives in a file because every worker must have the same one, forked or spawned: with one key each, a login made
    in one worker ends in the next. Nothing is committed, and the file is as private as the database beside it.
    """
    if not file.exists():
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(get_random_secret_key())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)  # of several workers that start together the first one wins, with a whole file
        draft.unlink()
    return file.read_text()
