"""A pipeline whose socket is played by the test."""

import asyncio

import pytest

from support.pipeline_bench import Bench


@pytest.fixture
def on_bench():
    """Runs a coroutine function with a bench."""

    def run(scenario):
        async def main():
            bench = Bench()
            try:
                await scenario(bench)
            finally:
                if not bench.pipeline.closed:
                    connection = bench.pipeline.release()
                    if connection:
                        connection.close()
                bench.node.close()

        asyncio.run(main())

    return run
