"""file:/etc/dcache/nodes.toml, or .json: the nodes in a file, read anew at each look.

Its content counts, not its time: a mounted ConfigMap changes by a link that leads to another folder.
"""

import json
import tomllib
from pathlib import Path

from django_dcache.errors import ConfigurationError, InvalidTopology

from ..errors import SourceFailed
from .answer import Answer, from_document

_parsers = {".toml": tomllib.loads, ".json": json.loads}


class FileSource:
    def __init__(self, path: str):
        """Raises ConfigurationError."""
        self._path = Path(path)
        if self._path.suffix not in _parsers:
            raise ConfigurationError(f"file:{path}: want a file that ends in .toml or .json")

    def read(self) -> Answer:
        """Raises SourceFailed."""
        try:
            return from_document(_parsers[self._path.suffix](self._path.read_text("utf-8")))
        except (OSError, ValueError, RecursionError, InvalidTopology) as error:  # Also while it is being written.
            raise SourceFailed(str(error)) from error
