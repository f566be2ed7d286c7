"""The contract on uvloop."""

from pathlib import Path

import pytest

from support.async_twins import twins

uvloop = pytest.importorskip("uvloop")
globals().update(twins(Path(__file__).with_name("test_contract.py"), uvloop.new_event_loop, __name__))
