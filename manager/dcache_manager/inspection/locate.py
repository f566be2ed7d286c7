"""Where keys live now: pure arithmetic on the running topology."""

from collections.abc import Iterable
from typing import Any

from django_dcache.errors import InvalidKey
from django_dcache.model import keys
from django_dcache.model.placement import Replicas

from .fleet_report import Sighting
from .target import Target


def locate(
    target: Target, sighting: Sighting, wanted: Iterable[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(one item per key in order, errors for the keys that no cache would take)."""
    replicas, nodes = Replicas(sighting.truth), sighting.topology.nodes
    items: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for key in wanted:
        made_key = target.make_key(key)
        item: dict[str, Any] = {"key": key, "made_key": made_key, "node": None, "address": None}
        item |= {"replicas": [], "slot": None}
        items.append(item)
        try:
            hash_tags = target.configuration.options.hash_tags
            where = keys.position(keys.name(made_key, hash_tags=hash_tags), hash_tags)
        except InvalidKey as error:
            refused.append({"node": None, "error": "InvalidKey", "message": str(error), "key": key})
            continue
        holders = replicas.of(where.point)
        item |= {"replicas": list(holders), "slot": where.slot}
        if holders:
            item |= {"node": holders[0], "address": nodes[holders[0]].address}
    return items, refused
