"""Modules of the product, compiled from changed copies of their source; what is on disk stays as it is."""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType

Edits = Mapping[str, Sequence[tuple[str, str]]]
"""For each module, texts that occur once in its source, and what is to stand there instead."""


class Misfit(Exception):
    """The source is not what it was when this change was written."""


def changed(source: str, edits: Sequence[tuple[str, str]], where: str) -> str:
    """`source` with each text replaced. Raises Misfit unless it occurs just once."""
    for old, new in edits:
        if source.count(old) != 1:
            raise Misfit(f"{where} has {source.count(old)} times {old!r}")
        source = source.replace(old, new)
    return source


def fit(edits: Edits) -> None:
    """Raises Misfit for edits that could not be made."""
    for module, changes in edits.items():
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise Misfit(f"there is no {module}")
        changed(Path(spec.origin).read_text(), changes, module)


def install(edits: Edits) -> None:
    """From now on these modules are imported changed. None of them may have been imported before."""
    if early := edits.keys() & sys.modules.keys():
        raise Misfit(f"{', '.join(sorted(early))} imported too early")
    sys.meta_path.insert(0, _Finder(edits))


class _Finder(MetaPathFinder):
    def __init__(self, edits: Edits):
        self._edits = edits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._edits:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise Misfit(f"there is no {fullname}")
        spec.loader = _Loader(fullname, spec.origin)
        spec.loader.edits = self._edits[fullname]
        return spec


class _Loader(SourceFileLoader):
    edits: Sequence[tuple[str, str]] = ()

    def get_code(self, fullname: str) -> CodeType:
        # Without a look at cached bytecode, and without leaving any.
        source = changed(self.get_data(self.path).decode(), self.edits, fullname)
        return compile(source, self.path, "exec", dont_inherit=True)
