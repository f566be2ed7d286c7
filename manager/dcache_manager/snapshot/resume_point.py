"""How far the load of one snapshot into one fleet has come, for the next run if this one is killed."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..jobs.state_folder import state_folder


@dataclass(slots=True)
class ResumePoint:
    """Frames before `next` have been loaded, but for those in `again`. It may say too little: an item that is there
    already is left alone."""

    path: Path
    next: int = 0
    again: set[int] = field(default_factory=set)
    """Frames of which something could not be stored."""
    began: float = field(default_factory=time.time)
    """Unix time. A node that has started since then has lost what was loaded."""

    @classmethod
    def of(cls, fleet: str, digest: str) -> "ResumePoint":
        """What is known of this snapshot, in FLEET.DIGEST.load beside the fleet's journal."""
        path = state_folder() / f"{fleet}.{digest[:32]}.load"
        try:
            known = json.loads(path.read_bytes())
            return cls(path, int(known["next"]), {int(number) for number in known["again"]}, float(known["began"]))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return cls(path)

    def wanted(self, frame: int) -> bool:
        """Whether a frame is still to be loaded."""
        return frame >= self.next or frame in self.again

    def save(self) -> None:
        """Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"next": self.next, "again": sorted(self.again), "began": self.began}))
        os.replace(part, self.path)

    def forget(self) -> None:
        """The load is complete: the next one starts over."""
        self.path.unlink(missing_ok=True)
