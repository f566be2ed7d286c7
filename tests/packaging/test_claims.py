"""What the tests say."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_test_is_a_claim():
    """Every test has a docstring, which is what it claims."""
    silent = [
        f"{file.relative_to(TESTS)}:{node.lineno} {node.name}"
        for file in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent
