"""What is typed about a layout."""

import click
import pytest

from dcache_manager.cli.layout_options import parse_weight


def test_weight():
    """A weight is NODE=W; the node's address may hold an equals sign of its own before it."""
    assert parse_weight("10.0.0.1:11211=3") == ("10.0.0.1:11211", 3)


@pytest.mark.parametrize("entry", ["b", "b=", "=2", "b=x", "b=-1"])
def test_weights_that_are_none(entry):
    """What is no NODE=W, with W a whole number, is refused with an example."""
    with pytest.raises(click.UsageError, match="want NODE=W"):
        parse_weight(entry)
