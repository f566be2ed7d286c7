"""dcache-admin drill: what it may break, and where."""

import pytest
from click.testing import CliRunner

from dcache_drill import command, drill
from dcache_drill.faults import FAULTS, HARMLESS
from dcache_drill.plan import Plan
from dcache_manager.cli.exit_codes import NotConfirmed
from dcache_manager.cli.main import root
from dcache_manager.cli.options import Choices
from django_dcache.errors import ConfigurationError
from django_dcache.model.topology import Node


def test_what_a_foreign_fleet_meets_is_ours_alone():
    """On nodes that are not ours, only networks and processes of the drill are broken."""
    assert {"partition", "late", "worker-frozen"} <= set(HARMLESS)
    assert not {"kill", "freeze", "eviction", "maxconns", "rebalance", "keepers-lost"} & set(HARMLESS)


def test_a_fleet_elsewhere_is_left_alone_unless_its_alias_is_typed():
    """dcache-admin drill does nothing to a fleet that is not on this machine until its alias is typed."""
    arguments = ["--nodes", "192.0.2.1:11211", "drill"]
    answer = CliRunner().invoke(root, arguments, input="something\n", obj=Choices(arguments=arguments))
    assert isinstance(answer.exception, NotConfirmed)


def test_loopback_is_what_cannot_be_elsewhere():
    """Only addresses that are this machine's for certain count as such."""
    here = ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "unix:/tmp/socket"]
    there = ["10.0.0.1:1", "0.0.0.0:1", "cache.example:1", "[::]:1"]
    assert [True] * len(here) + [False] * len(there) == [command.loopback(Node.at(address)) for address in here + there]


def test_a_folder_is_used_once(tmp_path):
    """A drill whose folder holds another one says so before it starts anything, and leaves what is there."""
    (tmp_path / drill.PLAN).write_text("{}")
    with pytest.raises(ConfigurationError, match="holds the histories of another drill"):
        drill.run(Plan(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [drill.PLAN]
    assert (tmp_path / drill.PLAN).read_text() == "{}"


def test_every_fault_has_a_description():
    """Each fault says what it breaks."""
    assert all(fault.__doc__ for fault in FAULTS.values())
