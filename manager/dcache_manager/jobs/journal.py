"""A record of resizes. What has to be known to go on is in the fleet state; the journal tells people what happened."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from .progress import Progress


class Journal(Protocol):
    """Where events of a job are kept."""

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        """Append an event with the job's counts at this moment."""

    def entries(self) -> Iterator[dict[str, Any]]:
        """Everything recorded, oldest first."""


class Nowhere:
    """For a resize that nobody asks about later."""

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        pass

    def entries(self) -> Iterator[dict[str, Any]]:
        return iter(())


class FileJournal:
    """One JSON object a line. A line torn by a crash is skipped and costs no other; a full disk stops no resize."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def of(cls, fleet: str) -> "FileJournal":
        """The journal of a fleet on this machine: $XDG_STATE_HOME/dcache/FLEET.jsonl."""
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(Path(base) / "dcache" / f"{fleet}.jsonl")

    def record(self, event: str, progress: Progress, **details: Any) -> None:
        line = json.dumps({"at": time.time(), "event": event, **details, **progress.to_json()})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                whole = not file.tell() or file.seek(-1, os.SEEK_END) < 0 or file.read() == b"\n"
                file.write(f"{line}\n".encode() if whole else f"\n{line}\n".encode())
        except OSError as error:
            note = f"the journal {self.path} could not be written: {error}"
            if note not in progress.notes:
                progress.notes.append(note)

    def entries(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self.path.read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry
