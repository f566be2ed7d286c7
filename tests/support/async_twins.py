"""The asynchronous twin of a contract test, made from its source.

cache.get(key)      →  await cache.aget(key)        for every method of Django's cache API
def test_…          →  async def test_…             run by a new event loop
"""

import ast
import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.cache.backends.base import BaseCache

METHODS = {name for name in vars(BaseCache) if f"a{name}" in vars(BaseCache)}


class Twin(ast.NodeTransformer):
    """A test and its calls of the cache."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.decorator_list = []  # Marks belong to the function that is collected.
        return ast.AsyncFunctionDef(**{field: getattr(node, field) for field in node._fields})

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(ast.Name("cache"), name) if name in METHODS:
                node.func.attr = f"a{name}"
                return ast.Await(node)
        return node


CONTRACT = ("test_contract.py", "test_contract_many.py")


def contract_twins(
    folder: Path, new_event_loop: Callable[[], asyncio.AbstractEventLoop], module: str
) -> dict[str, Any]:
    """The whole contract in `folder`, asynchronous."""
    made: dict[str, Any] = {}
    for name in CONTRACT:
        made |= twins(folder / name, new_event_loop, module)
    return made


def twins(file: Path, new_event_loop: Callable[[], asyncio.AbstractEventLoop], module: str) -> dict[str, Any]:
    """The tests in a file, asynchronous, with all else that is there: the contents of `module`, which asks for them."""
    tree = ast.parse(file.read_text())
    original: dict[str, Any] = {"__name__": module}
    exec(compile(tree, str(file), "exec"), original)
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    tree.body = [Twin().visit(test) for test in tests]
    made = {name: thing for name, thing in original.items() if not name.startswith("__")}
    exec(compile(ast.fix_missing_locations(tree), str(file), "exec"), made)
    for test in tests:
        made[test.name] = _run_by(new_event_loop, made[test.name], original[test.name])
    return made


def _run_by(new_event_loop: Callable[[], asyncio.AbstractEventLoop], twin: Any, original: Any) -> Any:
    @functools.wraps(original)
    def test(**fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(twin(**fixtures))

    return test
