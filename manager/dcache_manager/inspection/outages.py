"""Since when nodes are silent, by the samples that the project keeps: a node that does not answer can't say."""

from collections.abc import Iterable
from datetime import datetime

from django.db import DatabaseError

from ..jobs.journal import installed


def silent_since(fleet: str, nodes: Iterable[str]) -> dict[str, datetime]:
    """The moment of the first sample in which a node did not answer, after the last one in which it did; by node.

    Left out are nodes of which that is not known.
    """
    names = list(nodes)
    if not names or not installed():
        return {}
    from ..models import NodeSample  # Late: a project without dcache_manager can't import it.

    found = {}
    try:
        for name in names:
            samples = NodeSample.objects.filter(fleet=fleet, node=name)
            answered = samples.exclude(state="down").order_by("-at").values_list("at", flat=True).first()
            silent = samples.filter(state="down", **({"at__gt": answered} if answered else {}))
            if first := silent.order_by("at").values_list("at", flat=True).first():
                found[name] = first
    except DatabaseError:
        return {}  # What was seen is true without it.
    return found
