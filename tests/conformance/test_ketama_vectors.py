"""Where other clients put keys, as they said themselves: vectors/*.json, written by script/ring-vectors."""

import json
from functools import cache
from pathlib import Path

import pytest

from django_dcache.model import keys
from django_dcache.model.placement import Replicas
from django_dcache.model.topology import Layout, Node

VECTORS = {
    path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).with_name("vectors").glob("*.json"))
}
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

every_vector = pytest.mark.parametrize(
    ("vector", "mode"),
    [pytest.param(vector, mode, id=f"{name}-{mode}") for name, vector in VECTORS.items() for mode in vector["modes"]],
)


@cache
def replicas(nodes: tuple[tuple[str, int], ...], mode: str) -> Replicas:
    return Replicas(Layout(tuple(Node.at(address, weight=weight) for address, weight in nodes), ring=mode))


def misplaced(vector: dict, mode: str, owners: dict[str, str]) -> dict[str, str]:
    """The keys for which the ring names another node than `owners`, {key: letter of a node}, does."""
    ring = replicas(tuple(map(tuple, vector["nodes"])), mode)
    wanted = {key: ring.ring.nodes[LETTERS.index(letter)] for key, letter in owners.items()}
    # Beside clients without md5 a key is its own name (OPTIONS["coexist"]).
    named = str.encode if ring.ring.choose else keys.name
    found = {key: ring.of(ring.position(named(key)).point)[0] for key in owners}
    return {key: f"{found[key]} instead of {wanted[key]}" for key in owners if found[key] != wanted[key]}


@every_vector
def test_ten_thousand_keys(vector: dict, mode: str) -> None:
    """10,000 keys land on the same node as with the clients that were asked."""
    pattern, owners = vector["keys"]["pattern"], "".join(vector["owners"])
    assert len(owners) == vector["keys"]["count"] == 10_000
    assert misplaced(vector, mode, {pattern.format(i): letter for i, letter in enumerate(owners)}) == {}


@every_vector
def test_edges(vector: dict, mode: str) -> None:
    """Keys that lie exactly on a point, and very short, very long and non-ASCII keys, land on the same node too."""
    assert misplaced(vector, mode, vector["edges"]) == {}


@pytest.mark.parametrize("client", ["pylibmc", "twemproxy"])
def test_promised_fleets(client: str) -> None:
    """Both clients were asked about 3, 25 and 47 nodes, equal and weighted, with and without port 11211."""
    asked = set()
    for vector in VECTORS.values():
        addresses, weights = zip(*vector["nodes"], strict=True)
        elided = {address.endswith(":11211") for address in addresses}
        if len(elided) == 1 and "libmemcached" in vector["modes"] and client in " ".join(vector["references"]):
            asked.add((len(addresses), len(set(weights)) > 1, elided.pop()))
    assert asked >= {(count, weighted, port) for count in (3, 25, 47) for weighted in (0, 1) for port in (0, 1)}
