"""Where a project keeps on this machine what has to outlive a command: journals, and how far a load has come."""

import os
from pathlib import Path

from django_dcache.identity import site_marks

WITHOUT_PROJECT = "no-project"


def state_folder() -> Path:
    """$XDG_STATE_HOME/dcache/PROJECT, by default below ~/.local/state; it need not exist.

    PROJECT is a mark of the site: most projects have a fleet `default`, and the journal of one is no news to another.
    What was kept under a former SECRET_KEY stays where it is, while SECRET_KEY_FALLBACKS names that.
    """
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "dcache"
    folders = [base / mark for mark in site_marks()] or [base / WITHOUT_PROJECT]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
