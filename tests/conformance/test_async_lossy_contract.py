"""The contract for lost keys, on event loops."""

import asyncio
from pathlib import Path

from support.async_twins import twins

globals().update(twins(Path(__file__).with_name("test_lossy_contract.py"), asyncio.new_event_loop, __name__))
