"""What tests of several workers share."""

from collections.abc import Iterator

import pytest

from support.servers import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of its own, for as long as the test lasts."""
    broker = Broker()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
