"""The contract for lost keys, on event loops."""

import asyncio

from conformance import test_lossy_contract
from conformance.twins import twins

globals().update(twins(test_lossy_contract, asyncio.new_event_loop))
