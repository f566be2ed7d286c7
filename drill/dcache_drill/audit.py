"""After the last fault: what every copy holds, what processes complained of, and what they leaked."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from time import monotonic
from typing import Any

from django_dcache.commands import Get, is_item
from django_dcache.errors import NodeFailure
from django_dcache.flows import Flow
from django_dcache.model import keys
from django_dcache.model.view import View
from django_dcache.operations.tags import NAMESPACE
from django_dcache.runtime.fleet import Fleet
from django_dcache.values.conditions import Conditional

from . import tagged_value
from .checker import Violation
from .ground_truth import SIZES, Family, key_name, key_number
from .history import Kind, Outcome, Recorder
from .plan import PREFIX
from .testbed import Testbed

AUDITOR = 65535
SOCKETS, MEMORY = 40, 48 * 2**20
"""How much more a process may have at the end than after its first seconds."""


def audit(testbed: Testbed) -> list[Violation]:
    """Records every copy of every key as a read in calm (I8); what else it finds is returned."""
    with closing(Recorder(testbed.folder / f"history-{AUDITOR}")) as recorder:
        _read_copies(testbed, recorder)
    return [Violation(**violation) for violation in _notes(testbed)]


def _read_copies(testbed: Testbed, recorder: Recorder) -> None:
    fleet = testbed.fleet
    fleet.proven_view()
    codec = fleet.codec
    for family in (Family.REGISTER, Family.ROW, Family.TAGGED):
        for number in range(SIZES[family]):
            key = key_number(family, number)
            made_key = f"{PREFIX}:1:{key_name(key)}"
            name = keys.name(made_key)
            began = monotonic()
            for reply in fleet.run(copies, name).values():
                if is_item(reply) and reply.data is not None:
                    try:
                        found = tagged_value.read(codec.decode(made_key, reply.flags, reply.data))
                    except Conditional as conditional:
                        if not _holds(fleet, conditional.conditions.versions):
                            continue
                        found = tagged_value.read(conditional.open())
                    outcome = Outcome.CORRUPT if found is None else Outcome.OK if found.key == key else Outcome.FOREIGN
                    version = found.version if found else 0
                    recorder.add(Kind.READ, outcome, AUDITOR, key, version, began, monotonic(), 0, fleet.view.epoch)


def _holds(fleet: Fleet, versions: Mapping[str, bytes]) -> bool:
    """Whether there is a copy of each tag that has this version: then the value may be read."""
    for tag, version in versions.items():
        made_tag = f"{PREFIX}:{NAMESPACE}:{tag}"
        there = [reply for reply in fleet.run(copies, keys.name(made_tag)).values() if is_item(reply)]
        if version not in [fleet.codec.decode(made_tag, item.flags, item.data) for item in there if item.data]:
            return False
    return True


def copies(view: View, name: bytes) -> Flow[dict[str, Any]]:
    """What each node that may be read for `name` holds."""
    route, slot = view.place(name)
    replies = yield {node: [Get(name, view.generation(node, slot))] for node in route.read}
    return {node: reply for node, (reply,) in replies.items() if not isinstance(reply, NodeFailure)}


def _notes(testbed: Testbed) -> Iterator[dict[str, Any]]:
    for path in sorted(testbed.folder.glob("notes-*")):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        for line in lines:
            if "complaint" in line:
                text = f"process {path.name[6:]}: {line['complaint']} raised {line['error']}"
                yield {"invariant": "I10 exceptions", "text": text, "at": line["at"]}
        vitals = [line["vitals"] for line in lines if "vitals" in line]
        if len(vitals) > 4:
            early, late = vitals[2], vitals[-1]
            for what, most in (("descriptors", SOCKETS), ("threads", 2), ("memory", MEMORY)):
                if late[what] > early[what] + most:
                    text = f"process {path.name[6:]}: {what} grew from {early[what]} to {late[what]}"
                    yield {"invariant": "I11 leaks", "text": text, "at": late["at"]}
    stderr = (testbed.folder / "stderr").read_text().strip()
    # An interrupt that falls into a destructor can't be raised by Python, which says so; it breaks nothing off.
    stderr = re.sub(r"Exception ignored in:.*?\.Interrupt:?\s*", "", stderr, flags=re.DOTALL)
    if stderr:
        yield {"invariant": "I10 exceptions", "text": f"on stderr: {stderr[-4000:]}"}
