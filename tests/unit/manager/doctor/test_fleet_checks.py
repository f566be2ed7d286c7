"""What the doctor makes of a look at a fleet."""

import pytest

from dcache_manager.doctor.fleet_checks import check_clock
from django_dcache.engines.memcached.introspection import NodeReply


@pytest.mark.parametrize(
    ("told", "verdict"), [("1000", "ok"), ("999", "ok"), ("1002", "ok"), ("1010", "warn"), ("0", "warn"), ("x", "warn")]
)
def test_clocks(told, verdict):
    """A node's clock may differ from ours by what whole seconds can't tell, and no more."""
    assert check_clock("a", NodeReply(statistics={"time": told}), 1000.7).verdict == verdict
