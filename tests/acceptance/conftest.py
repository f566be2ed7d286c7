"""Fleets, and dcache-admin as a process."""

import pytest

from django_dcache.testing import LocalFleet
from support.command_line import Console
from support.example_shop import Visitor, serve


@pytest.fixture
def fleet():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet


@pytest.fixture
def console(fleet, tmp_path):
    """A console in a project on them, whose cache has been used."""
    console = Console(tmp_path, fleet.addresses)
    console.cache("cache.set_many({f'k{i}': i for i in range(600)})")
    return console


@pytest.fixture
def bare(tmp_path):
    """A console without a project."""
    folder = tmp_path / "bare"
    folder.mkdir()
    return Console(folder)


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def shop(request, tmp_path_factory):
    """A shop on three nodes."""
    with LocalFleet(3) as fleet, serve(fleet.addresses, tmp_path_factory.mktemp("shop"), request.param) as shop:
        yield shop


@pytest.fixture
def visitor(shop):
    """Somebody the shop has not seen before."""
    return Visitor(shop)
