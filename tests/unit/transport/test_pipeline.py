"""One connection shared by many batches: what leaves when, and whose reply is whose."""

from django_dcache.commands import Get, Store, Value
from django_dcache.errors import NodeTimeout
from support.pipeline_bench import hit
from support.waiting import turn


def test_a_quiet_connection_sends_at_once(on_bench):
    """The first batch leaves before anything else happens on the loop."""

    async def scenario(bench):
        bench.submit("a")
        assert bench.received() == b"mg a v f O0\r\n"

    on_bench(scenario)


def test_a_busy_connection_sends_once_a_turn(on_bench):
    """Batches that come while another is under way leave together, and each gets its own reply."""

    async def scenario(bench):
        for label in "abcd":
            bench.submit(label)
        assert bench.received() == b"mg a v f O0\r\n"
        await turn()
        assert bench.received() == b"mg b v f O1\r\nmg c v f O2\r\nmg d v f O3\r\n"
        await bench.reply(b"".join(hit(number, label) for number, label in enumerate((b"A", b"B", b"C", b"D"))))
        assert bench.answers == {label: [Value(label.upper().encode())] for label in "abcd"}

    on_bench(scenario)


def test_replies_in_any_pieces(on_bench):
    """Replies may be cut anywhere."""

    async def scenario(bench):
        bench.submit("a", Get(b"a"), Get(b"b"))
        bench.submit("c")
        for byte in hit(0, b"A" * 5) + hit(1, b"") + hit(2, b"C"):
            assert "c" not in bench.answers
            await bench.reply(bytes([byte]))
        assert bench.answers == {"a": [Value(b"AAAAA"), Value(b"")], "c": [Value(b"C")]}

    on_bench(scenario)


def test_a_late_reply_is_nobodys(on_bench):
    """A batch whose time is up fails; its reply is dropped when it comes, and the one behind it gets its own."""

    async def scenario(bench):
        bench.submit("late", seconds=1)
        bench.submit("patient", seconds=2)
        await turn()
        bench.pipeline.expire(bench.clock.advance(1.5))
        assert isinstance(bench.answers["late"][0], NodeTimeout) and bench.answers["late"][0].sent
        assert not bench.pipeline.open and not bench.pipeline.closed
        await bench.reply(hit(0, b"LATE") + hit(1, b"PATIENT"))
        assert bench.answers["patient"] == [Value(b"PATIENT")]
        assert bench.pipeline.open and bench.caught_up_times == 1

    on_bench(scenario)


def test_the_last_to_wait_closes_the_door(on_bench):
    """A connection with nobody left to wait for is closed: its replies are of no use."""

    async def scenario(bench):
        bench.submit("a")
        bench.submit("b")
        await turn()
        bench.pipeline.expire(bench.clock.advance(2))
        assert all(isinstance(bench.answers[label][0], NodeTimeout) for label in "ab")
        assert bench.pipeline.closed and bench.ended_pipelines == [bench.pipeline]

    on_bench(scenario)


def test_what_has_arrived_counts(on_bench):
    """A loop that was busy with something else reads before it gives anything up."""

    async def scenario(bench):
        bench.submit("a")
        bench.node.send(hit(0, b"A"))
        bench.pipeline.expire(bench.clock.advance(2))
        assert bench.answers == {"a": [Value(b"A")]}

    on_bench(scenario)


def test_what_leaves_late(on_bench):
    """A batch that a busy loop sends after its deadline still leaves its node some time."""

    async def scenario(bench):
        bench.submit("a", seconds=9)
        bench.submit("b", seconds=1)
        now = bench.clock.advance(2)
        await turn()
        assert bench.received() == b"mg a v f O0\r\nmg b v f O1\r\n"
        bench.pipeline.expire(now)
        assert not bench.answers
        bench.pipeline.expire(bench.clock.advance(0.2))
        assert isinstance(bench.answers["b"][0], NodeTimeout) and bench.answers["b"][0].sent

    on_bench(scenario)


def test_a_long_batch_goes_through(on_bench):
    """What the kernel does not take at once follows as the node reads, and the batch behind it comes after it."""

    async def scenario(bench):
        bench.submit("large", Store(b"large", 0, bytes(3_000_000)), seconds=60)
        bench.submit("behind", seconds=60)
        received = b""
        while not received.endswith(b"mg behind v f O1\r\n"):
            received += bench.received()
            await turn()
        await bench.reply(b"HD O0\r\n" + hit(1, b"B"))
        assert bench.answers["behind"] == [Value(b"B")]

    on_bench(scenario)
