"""The contract on uvloop."""

import pytest

from conformance import test_contract
from conformance.twins import twins

uvloop = pytest.importorskip("uvloop")
globals().update(twins(test_contract, uvloop.new_event_loop))
