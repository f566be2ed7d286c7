"""The planted mistakes fit the product as it is."""

import subprocess
import sys

import pytest

from dcache_drill.faults import FAULTS
from support.planted_mistakes import MISTAKES

PLANT_EACH = """
import os, sys
sys.path[:0] = {path!r}
from support.planted_mistakes import MISTAKES
for name, mistake in MISTAKES.items():
    child = os.fork()
    if not child:
        mistake.plant()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""


def test_every_mistake_can_be_planted():
    """Each finds the objects of the product that it replaces."""
    run = subprocess.run([sys.executable, "-c", PLANT_EACH.format(path=sys.path)], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_described(name):
    """Each says which rule it breaks, and shows under faults that exist."""
    assert MISTAKES[name].plant.__doc__
    assert set(FAULTS) >= {fault for pair in MISTAKES[name].faults for fault in pair.split("+")}
