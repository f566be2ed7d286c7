"""A CACHES entry: parsed once, and refused with words that say what to write instead."""

import ssl
from dataclasses import FrozenInstanceError

import pytest

from django_dcache.conf import Configuration, parse
from django_dcache.errors import ConfigurationError
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology

HERE = "10.0.0.1:11211"


@pytest.mark.parametrize(
    "location",
    [
        "10.0.0.1,10.0.0.2:11212",
        "10.0.0.1;10.0.0.2:11212",
        " 10.0.0.1 ; 10.0.0.2:11212;",
        ["10.0.0.1:11211", "10.0.0.2:11212"],
        ("10.0.0.1", {"address": "10.0.0.2:11212"}),
    ],
)
def test_forms_of_location(location):
    """LOCATION takes Django's forms and objects, and all of them say the same."""
    assert parse("default", location).layout.nodes == (Node.at("10.0.0.1"), Node.at("10.0.0.2:11212"))


def test_nodes_as_objects():
    """An object gives a node its name, weight and zone."""
    entry = {"name": "cache-2", "address": "10.0.0.2", "weight": 2, "zone": "b"}
    assert parse("default", [entry]).layout.nodes == (Node("cache-2", "10.0.0.2:11211", 2, "b"),)


def test_unix_sockets():
    """A unix socket is a path, with or without its prefix."""
    nodes = parse("default", "unix:/run/a.sock,/run/b.sock").layout.nodes
    assert [node.endpoints[0] for node in nodes] == ["/run/a.sock", "/run/b.sock"]


def test_layout_comes_from_options():
    """Replicas and the ring's mode are part of what the fleet has to look like."""
    configuration = parse("default", HERE, {"replicas": 2, "ring": "libmemcached", "zone": "a"})
    assert configuration.layout == Layout((Node.at(HERE),), 2, "libmemcached")
    assert configuration.options.zone == "a"


def test_fleet_name():
    """A fleet has the alias's name unless it is given one."""
    assert parse("sessions", HERE).fleet == "sessions"
    assert parse("sessions", HERE, {"fleet": "shared"}).fleet == "shared"


@pytest.mark.parametrize(
    ("location", "complaint"),
    [
        (None, "want a string or a list"),
        (5, "want a string or a list"),
        ("", "at least one node"),
        ([], "at least one node"),
        ([5], "neither a string nor an object"),
        ([{}], "has no address"),
        ([{"address": 5}], "address"),
        ([{"address": HERE, "wieght": 2}], "unknown wieght"),
        ([{"address": HERE, 5: 2}], "unknown 5"),
        ([{"address": HERE, "weight": "2"}], "weight"),
        ([{"address": HERE, "zone": 5}], "zone"),
        ([{"address": HERE, "name": 5}], "name"),
        ([{"address": HERE, "name": "a b"}], "no node name"),
        (["host:port"], "no address"),
        (["host:99999"], "no address"),
        (["a", "a"], "share the name"),
        (["a", {"address": "a:11211", "name": "b"}], "share the address"),
    ],
)
def test_bad_locations(location, complaint):
    """A LOCATION that can't be meant is refused, and the refusal says why."""
    with pytest.raises(ConfigurationError, match=complaint):
        parse("default", location)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"replica": 2}, "did you mean 'replicas'"),
        ({"time_out": 2}, "did you mean 'timeout'"),
        ({"xyzzy": 2}, "known are replicas"),
        ({5: 2}, "no 5"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": "2"}, "replicas"),
        ({"zone": 5}, "zone"),
        ({"hash_tags": "yes"}, "hash_tags"),
        ({"ring": "jump"}, "ketama, libmemcached"),
        ({"ring": []}, "ketama, libmemcached"),
        ({"on_error": "ignore"}, "miss, raise"),
        ({"on_unproven": True}, "serve, miss"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"timeout": "1"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"connect_timeout": -1}, "connect_timeout"),
        ({"freshness": 4000}, "freshness"),
        ({"request_budget": 0}, "request_budget"),
        ({"idle_connections": 0}, "idle_connections"),
        ({"idle_connections": 1.0}, "idle_connections"),
        ({"pickle_protocol": 99}, "pickle_protocol"),
        ({"pickle_protocol": -1}, "pickle_protocol"),
        ({"pickle_protocol": "5"}, "pickle_protocol"),
        ({"fleet": 5}, "fleet"),
        ({"fleet": "a b"}, "fleet name"),
        ({"fleet": "a:b"}, "fleet name"),
        ({"fleet": "a" * 51}, "fleet name"),
        ({"tls": True}, "tls"),
        ({"address_remap": {"a": "b"}}, "address_remap"),
    ],
)
def test_bad_options(options, complaint):
    """An option that is unknown or can't be meant is refused, and the refusal says what is allowed."""
    with pytest.raises(ConfigurationError, match=complaint):
        parse("default", HERE, options)


def test_options_that_are_objects():
    """A TLS context and an address map are taken as they are."""
    context = ssl.create_default_context()
    options = parse("default", HERE, {"tls": context, "address_remap": str.upper}).options
    assert options.tls is context and options.address_remap is str.upper


def test_every_option_has_a_default():
    """Every option has a default, so that OPTIONS may be empty."""
    assert parse("default", HERE) == parse("default", HERE, {}) == Configuration("default", Layout((Node.at(HERE),)))


def test_frozen_and_hashable():
    """What was parsed can't change under a running fleet, and tells fleets apart."""
    configuration = parse("default", HERE)
    with pytest.raises(FrozenInstanceError):
        configuration.options.timeout = 5
    assert len({configuration, parse("default", HERE), parse("default", HERE, {"timeout": 1})}) == 2


def test_whatever_is_accepted_can_be_planted():
    """A layout from settings survives the way to a keeper and back."""
    entry = {"name": "[::1]", "address": "[::1]:11211", "weight": 100, "zone": "é b"}
    layout = parse("default", [HERE, entry, "/run/m.sock"], {"replicas": 3}).layout
    state = FleetState(Topology(1, layout))
    assert FleetState.decode(state.encode()) == state
