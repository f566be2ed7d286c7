"""What a drill breaks, and in which order."""

from dcache_drill.faults import FAULTS
from dcache_drill.schedule import schedule


def test_every_fault_comes_before_any_comes_again():
    """Within the first episodes each fault is there, and resizes come one at a time."""
    episodes = schedule(7, tuple(FAULTS), 600, 2.5)
    assert {name for episode in episodes for name in episode.faults} == set(FAULTS)
    assert all(sum(name.startswith("rebalance") for name in episode.faults) <= 1 for episode in episodes)


def test_keepers_return_before_a_resize_is_awaited():
    """Where most keepers are lost besides, they are the first to return: without them no resize ends."""
    episodes = schedule(7, ("keepers-lost", "rebalance", "late"), 6000, 2.5)
    lost = [episode.faults for episode in episodes if "keepers-lost" in episode.faults]
    assert ("rebalance", "keepers-lost") in lost and all(faults[-1] == "keepers-lost" for faults in lost)
