"""From what is typed to a layout."""

from dataclasses import replace

import pytest

from dcache_manager.inspection.target import Target
from dcache_manager.rebalance.layout_change import LayoutChange, desired_layout, name_of, plan_change
from django_dcache.conf import parse
from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.model.topology import Layout, Node, Topology

A, B, C = Node.at("10.0.0.1"), Node.at("10.0.0.2:5000", "b"), Node.at("10.0.0.3")
TWO, THREE = Topology(4, Layout((A, B))), Layout((A, B, C))
NOBODY = Target("default", parse("default", "10.0.0.1"))


def project(location):
    """A target with a project that has this LOCATION."""
    configuration = parse("default", location)
    return Target("default", configuration, configuration.layout)


def no_note(text):
    """For edits that need no remark."""
    raise AssertionError(text)


def test_add():
    """A node is added by its address, with a name of its own if one is given."""
    layout = desired_layout(NOBODY, TWO, LayoutChange(add=["10.0.0.3", "d=10.0.0.4:1"], weight=2, zone="z"), no_note)
    assert layout.nodes == (A, B, Node.at("10.0.0.3", weight=2, zone="z"), Node.at("10.0.0.4:1", "d", 2, "z"))


@pytest.mark.parametrize("text", ["b", "10.0.0.2:5000"])
def test_remove_by_name_or_address(text):
    """A node is removed by its name or its address: whoever knows only one of them means the same node."""
    assert desired_layout(NOBODY, TWO, LayoutChange(remove=[text], strict=True), no_note).nodes == (A,)


@pytest.mark.parametrize("text", ["10.0.0.1", "10.0.0.1:11211"])
def test_default_port(text):
    """An address without a port has the default one."""
    assert name_of(TWO.layout, text) == "10.0.0.1"


def test_remove_again():
    """A node on its way out is no mistake, so that an interrupted removal can be typed again; a node that is gone is
    remarked on, and for a command about that very node an error."""
    leaving, notes = Topology(4, THREE).begin(TWO.layout), []
    assert desired_layout(NOBODY, leaving, LayoutChange(remove=["10.0.0.3"], strict=True), no_note) == TWO.layout
    assert desired_layout(NOBODY, TWO, LayoutChange(remove=["10.0.0.3"]), notes.append) == TWO.layout
    assert len(notes) == 1
    with pytest.raises(InvalidTopology, match="no node .*'10.0.0.3'; did you mean"):
        desired_layout(NOBODY, TWO, LayoutChange(remove=["10.0.0.3"], strict=True), no_note)


def test_weight_and_replicas():
    """Weights and the replication factor change by themselves; the nodes stay."""
    layout = desired_layout(NOBODY, TWO, LayoutChange(weights={"10.0.0.2:5000": 3}, replicas=2), no_note)
    assert [(node.name, node.weight) for node in layout.nodes] == [("10.0.0.1", 1), ("b", 3)]
    assert layout.replicas == 2


def test_location_is_what_is_wanted():
    """Without changes on the command line LOCATION is wanted, and without a project nothing is."""
    assert (
        desired_layout(project(["10.0.0.1", "10.0.0.9"]), TWO, LayoutChange(), no_note)
        == parse("d", ["10.0.0.1", "10.0.0.9"]).layout
    )
    with pytest.raises(ConfigurationError, match="--settings"):
        desired_layout(NOBODY, TWO, LayoutChange(), no_note)


def test_location_with_another_name():
    """A node that LOCATION calls by another name would be emptied and filled for nothing: that is refused."""
    with pytest.raises(ConfigurationError, match="calls it 'b'"):
        desired_layout(project(["10.0.0.1", "10.0.0.2:5000"]), TWO, LayoutChange(), no_note)


def test_plan_of_the_resize_under_way():
    """While keys move to where LOCATION wants them, or nothing else is known to be wanted, that move is the plan."""
    moving = TWO.begin(THREE)
    location = [{"name": node.name, "address": node.address} for node in THREE.nodes]
    for target in (NOBODY, project(location)):
        made = plan_change(target, moving, LayoutChange(), no_note)
        assert (made.current, made.desired) == (TWO.layout, THREE)
    assert plan_change(NOBODY, moving, LayoutChange(remove=["b"]), no_note).current == THREE


def test_adoption_has_no_wish():
    """What `coexist` leaves no choice of, the ring and one copy, is no wish to have it back once it was changed."""
    configuration = parse("default", ["10.0.0.1", "10.0.0.2"], {"coexist": "pymemcache"})
    target = Target("default", configuration, configuration.layout)
    moved = Topology(4, replace(configuration.layout, ring="ketama", replicas=2))
    assert desired_layout(target, moved, LayoutChange(), no_note) == moved.layout


def test_another_ring():
    """A ring is changed by its name, and the nodes stay."""
    layout = desired_layout(NOBODY, TWO, LayoutChange(ring="modula"), no_note)
    assert layout == replace(TWO.layout, ring="modula")
