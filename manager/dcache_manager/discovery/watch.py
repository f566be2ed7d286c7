"""A source under watch: what it said last that counts, also when it says nothing, and after a restart."""

import json
import os
from collections import deque
from pathlib import Path

from django_dcache.errors import DCacheError, InvalidTopology

from ..errors import SourceFailed
from .answer import Answer, answer, from_document, to_document
from .rules import Rules, confirmed
from .source import Source


class SourceWatch:
    """`look` reads the source once. The last good answer is kept in `file`, whose form a source `file:` reads too."""

    def __init__(self, source: Source, rules: Rules = Rules(), file: Path | None = None):
        self._source, self._reads, self._file = source, rules.reads, file
        self._answers: deque[Answer] = deque(maxlen=rules.reads)
        self.good: Answer = self._kept()
        """The last answer that counts; empty: there was none yet."""
        self.heard = False
        """Whether the source itself has said so since this process began."""

    def look(self) -> list[str]:
        """Read the source; what there is to say of it, a sentence each. Raises nothing of what a source may raise."""
        try:
            said = answer(self._source.read())
        except DCacheError as error:
            return [str(error)]
        except Exception as error:  # A site's own source: what it raises ends neither healing nor this process.
            return [str(SourceFailed(f"{type(error).__name__}: {error}"))]
        self._answers.append(said)
        if not said:
            return ["the source names no node: nothing is changed"]
        found = confirmed(tuple(self._answers), self._reads)
        if found is None:
            news = f"the source says something new: it counts once {self._reads} reads in a row were equal"
            return [] if said == self.good else [news]
        new, self.heard = found != self.good, True
        self.good = found
        return self._keep() if new else []

    def _kept(self) -> Answer:
        try:
            return from_document(json.loads(self._file.read_text("utf-8"))) if self._file else ()
        except (OSError, ValueError, InvalidTopology):
            return ()

    def _keep(self) -> list[str]:
        if self._file is None:
            return []
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(to_document(self.good), indent=1), "utf-8")
            new.replace(self._file)
        except OSError as error:
            return [f"the last good answer can't be kept: {error}"]
        return []
