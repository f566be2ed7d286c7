"""What the statistics of a node say of the site, and not of our own questions."""

import pytest

from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.target import Target
from django_dcache.conf import parse
from django_dcache.runtime.fleet import Fleet


@pytest.mark.parametrize("engine", ["memcached", "redis"])
def test_our_own_questions_are_no_hits(fleet, engine):
    """Proving the state and looking at the fleet add nothing to the hits of its nodes: of one read that misses, the
    ratio is 0."""
    location = fleet(3, engine=engine).addresses
    configuration = parse("default", location, {"freshness": 0.01})
    ours = Fleet(configuration)
    try:
        proofs: set[float] = set()
        while len(proofs) < 5:
            proofs.add(ours.proven_view().proven_at)
        target = Target("default", configuration)
        for _ in range(3):
            seen = look(target, 5.0)
    finally:
        ours.close()
    replies = [report.reply for report in seen.reports.values()]
    assert [reply.hits for reply in replies] == [0, 0, 0]
    assert all(reply.hit_ratio in (None, 0.0) for reply in replies)
