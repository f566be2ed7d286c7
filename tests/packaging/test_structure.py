"""How the code is cut into files, what it is written in, and what it depends on."""

import ast
import re
from configparser import ConfigParser

import pytest

from support.checkout import CHECKOUT

FOLDERS = ("django_dcache", "manager/dcache_manager", "drill", "example_project", "benchmarks")
SOURCES = sorted(
    file for folder in FOLDERS for file in (CHECKOUT / folder).rglob("*.py") if "migrations" not in file.parts
)
LONGEST = 300
VAGUE = re.compile(
    r"\b(whoever|whomever|nobody|somebody|everybody|anybody|no one|someone|everyone|so many|stands on|goes on)\b", re.I
)

every_source = pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(CHECKOUT)))


@every_source
def test_files_are_short(file):
    """No file has more than 300 lines: a longer one holds more than one idea."""
    assert file.read_text().count("\n") <= LONGEST


@every_source
def test_sentences_have_actors(file):
    """Comments, docstrings and messages name who acts: client, worker, process, node, conductor, operator."""
    assert not [line for line in file.read_text().splitlines() if VAGUE.search(line)]


def test_what_is_required_is_imported():
    """Every package that an installation brings is imported by it."""
    setup = ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    required = {re.split(r"\W", line)[0] for line in setup["options"]["install_requires"].split("\n") if line}
    imported = {
        module.partition(".")[0]
        for file in SOURCES
        if file.is_relative_to(CHECKOUT / "django_dcache") or file.is_relative_to(CHECKOUT / "manager")
        for node in ast.walk(ast.parse(file.read_text()))
        for module in (
            [name.name for name in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    assert required and required <= imported
