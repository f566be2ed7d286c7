"""Exceptions of a fleet."""

import pickle
from copy import copy

import pytest

from django_dcache.errors import NodeUnreachable


@pytest.mark.parametrize("passed_on", [copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_passed_on(passed_on):
    """What is copied, or goes to another process, says the same as what was raised, and nothing of where it was."""
    try:
        raise NodeUnreachable("refused", node="10.0.0.1:11211", epoch=4) from OSError()
    except NodeUnreachable as error:
        raised = error
    other = passed_on(raised)
    assert (type(other), str(other), other.node, other.epoch) == (type(raised), str(raised), raised.node, 4)
    assert other.__cause__ is other.__traceback__ is None
