"""Imports within functions: each says why."""

import ast

import pytest

from support.checkout import CHECKOUT

FILES = [
    file
    for folder in ("django_dcache", "manager/dcache_manager", "drill", "example_project", "benchmarks")
    for file in (CHECKOUT / folder).rglob("*.py")
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CHECKOUT)))
def test_a_late_import_has_a_reason(file):
    """An import within a function, or the first of several, has a comment that says why it is late."""
    lines = file.read_text().splitlines()
    bare, explained = [], 0
    late = [
        node
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    for node in sorted(late, key=lambda node: node.lineno):
        line = lines[node.lineno - 1]
        if "#" in line or lines[node.lineno - 2].strip().startswith("#"):
            explained = node.end_lineno
        elif all(not between.strip() for between in lines[explained : node.lineno - 1]):
            explained = node.end_lineno
        else:
            bare.append(f"{node.lineno}: {line.strip()}")
    assert not bare
