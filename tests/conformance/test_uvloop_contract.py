"""The contract on uvloop."""

from pathlib import Path

import pytest

from support.async_twins import contract_twins

uvloop = pytest.importorskip("uvloop")
globals().update(contract_twins(Path(__file__).parent, uvloop.new_event_loop, __name__))
