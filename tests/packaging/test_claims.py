"""What the tests say, and where they lie."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """The line and the module of each import in a file. A relative one begins with a dot."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom():
                yield node.lineno, "." * node.level + (node.module or "")


def test_every_test_is_a_claim():
    """Every test has a docstring, which is what it claims."""
    silent = [
        f"{file.relative_to(TESTS)}:{node.lineno} {node.name}"
        for file in FILES
        if file.name.startswith("test_")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_tests_import_support_and_no_test():
    """A test takes what it shares with others from `support`, and nothing from another test."""
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - {"support"}
    wrong = [
        f"{file.relative_to(TESTS)}:{line} {module}"
        for file in FILES
        if file.parent.parent.name != "support"  # a package of its own, which imports itself
        for line, module in imported(file)
        if module.startswith(".") or module.partition(".")[0] in folders | {"tests"}
    ]
    assert not wrong


def test_helpers_lie_apart():
    """Outside `support` there are tests and their fixtures, and nothing else."""
    allowed = [file for file in FILES if file.name == "conftest.py" or file.name.startswith("test_")]
    assert [file for file in FILES if "support" not in file.parts and file not in allowed] == []


def test_no_test_sleeps():
    """A test waits for something to happen; for how long a fault lasts it asks `support.waiting`."""
    sleeping = [
        f"{file.relative_to(TESTS)}:{node.lineno}"
        for file in FILES
        if file.name.startswith("test_")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep", "asyncio.sleep")
    ]
    assert not sleeping
