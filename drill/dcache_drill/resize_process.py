"""A process that leads one resize: `python -m dcache_drill.resize_process SPEC`."""

import json
import logging
import sys
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from .plan import ALIAS, options


def main(spec: dict[str, Any]) -> None:
    logging.getLogger("django_dcache").addHandler(logging.NullHandler())
    if spec["plugin"]:
        resolve_name(spec["plugin"])()
    # Here: a plugin may change the product first.
    from dcache_manager.errors import Cancelled
    from dcache_manager.jobs.journal import FileJournal
    from dcache_manager.rebalance.conductor import Conductor
    from django_dcache.conf import parse
    from django_dcache.errors import Conflict, NodeFailure, NoMajority
    from django_dcache.model.topology import Topology
    from django_dcache.runtime.fleet import Fleet

    fleet = Fleet(parse(ALIAS, spec["location"], options(spec)))
    conductor = Conductor(fleet, FileJournal(Path(spec["folder"]) / "resizes.jsonl"))
    # A conductor may give up for these reasons, and the next run continues; the journal has them.
    with suppress(Conflict, NoMajority, NodeFailure, Cancelled):
        if spec["target"] is None:
            conductor.cancel()
        else:
            target = {"epoch": 1, "phase": "stable", "fence": 0, "layout": spec["target"]}
            conductor.run(Topology.from_json(target).layout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
