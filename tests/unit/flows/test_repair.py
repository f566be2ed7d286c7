"""Removing a document that is not to be believed, and what is left of it."""

from dataclasses import replace

from django_dcache.commands import Get
from django_dcache.flows.repair import remove_document
from django_dcache.model.state import DROPPED_SLOT, trace_key
from support.played_flows import Keepers, Play, topology, view_of


def test_a_trace_counts_nodes_that_left():
    """The trace that is left tells of the highest generation, also that of nodes that left: they may join again."""
    view = replace(view_of(topology("abc")), wall_clock=lambda: 1_800_000_000.0)
    document = view.state.bumped({("a", 7): 3, DROPPED_SLOT: 9}).encode()
    keepers = Keepers(view, documents={"a": document})
    Play(remove_document(view, "a", document), keepers=keepers)
    assert keepers.document("a") is None
    assert keepers.answer({"a": [Get(trace_key("f"))]})["a"][0].data == b"9"
