"""The short cut on an engine whose replies do not say what they answer."""

import pytest


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("get", ("key",), "mine"),
        ("get_many", (["key", "more"],), {"key": "mine", "more": "mine too"}),
        ("set", ("key", "mine"), True),
        ("delete", ("none",), False),
        ("incr", ("number",), 2),
        ("set_many", ({"key": "mine", "more": "mine too"},), []),
    ],
)
def test_a_reply_that_waits_is_no_answer(redis, cache_of, method, arguments, answer):
    """What waits on an idle connection, because it came late or was not asked for, is never taken for the answer."""
    cache = cache_of(redis)
    cache.set_many({"key": "mine", "more": "mine too", "number": 1, "other": "another's"})
    (pool,) = cache.fleet.transport.pools().values()
    for connection in pool.idle:
        connection.socket.send(b"GET :1:other\r\n")
        assert connection.poller.poll(5000), "it waits there"
    assert getattr(cache, method)(*arguments) == answer
    assert cache.get_many(["key", "other"]) == {"key": "mine", "other": "another's"}
