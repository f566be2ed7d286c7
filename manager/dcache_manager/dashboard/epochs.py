"""How the fleet came to be what it is: its epochs, each with what it changed."""

from typing import Any

from django.http import HttpRequest

from ..inspection.target import Target
from ..rebalance.epochs import epochs

SHOWN = 50


def page(request: HttpRequest, target: Target) -> dict[str, Any]:
    return {"epochs": epochs(target.name, SHOWN)}
