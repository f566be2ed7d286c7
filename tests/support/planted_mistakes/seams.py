"""Ways into a running copy of the product: objects replaced wherever they are bound, flows altered on their way."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from django_dcache.commands import Command, Store
from django_dcache.flows import Flow
from django_dcache.model.keys import RESERVED
from django_dcache.model.view import View

PRODUCT = ("django_dcache", "dcache_manager")

Operation = Callable[..., Flow[Any]]
"""A flow: a generator function whose first argument is a view."""


class Misfit(Exception):
    """The product has no such object any more."""


def replace(path: str, make: Callable[[Any], Any]) -> None:
    """From now on `make(original)` stands wherever the object at `path` ("module:name" or "module:Class.name") did.

    Modules that are imported later find the replacement too. Raises Misfit.
    """
    module_name, _, name = path.partition(":")
    owner_name, _, attribute = name.rpartition(".")
    try:
        owner = importlib.import_module(module_name)
        owner = getattr(owner, owner_name) if owner_name else owner
        original = getattr(owner, attribute)
    except (ImportError, AttributeError) as error:
        raise Misfit(f"there is no {path}") from error
    replacement = make(original)
    setattr(owner, attribute, replacement)
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] in PRODUCT]:
        for name, value in list(vars(module).items()):
            if value is original:
                setattr(module, name, replacement)


def altered(change: Callable[[Command], Command]) -> Callable[[Operation], Operation]:
    """Makes of a flow one that sends each of its commands changed."""

    def alter(flow: Operation) -> Operation:
        def run(view: View, *arguments: Any, **options: Any) -> Flow[Any]:
            steps = flow(view, *arguments, **options)
            advance: Callable[[Any], Any] = steps.send
            answer: Any = None
            while True:
                try:
                    step = advance(answer)
                except StopIteration as stop:
                    return stop.value
                if isinstance(step, dict):
                    step = type(step)({node: [change(command) for command in batch] for node, batch in step.items()})
                try:
                    advance, answer = steps.send, (yield step)
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    advance, answer = steps.throw, error

        return run

    return alter


def without_token(command: Command) -> Command:
    """The same, whether or not the lease is still ours; the fleet's own documents keep theirs."""
    return command._replace(token=None) if type(command) is Store and not command.name.startswith(RESERVED) else command
