"""What counts of what a source says, and what is kept of it."""

from collections.abc import Iterator
from pathlib import Path

from dcache_manager.discovery.answer import Answer, Found, from_document
from dcache_manager.discovery.rules import Rules
from dcache_manager.discovery.source import source
from dcache_manager.discovery.watch import SourceWatch
from dcache_manager.errors import SourceFailed

ONE, TWO = (Found("10.0.0.1", "a"),), (Found("10.0.0.1", "a"), Found("10.0.0.2", "b"))


class Scripted:
    """A source that says, or raises, one thing after the other."""

    def __init__(self, *script: Answer | Exception):
        self._script: Iterator[Answer | Exception] = iter(script)

    def read(self) -> Answer:
        said = next(self._script)
        if isinstance(said, Exception):
            raise said
        return said


def watched(*script: Answer | Exception, file: Path | None = None) -> tuple[SourceWatch, list[str]]:
    """A watch that has looked as often as there is something to see, and what it said last."""
    watch = SourceWatch(Scripted(*script), Rules(reads=2), file)
    said = [watch.look() for _ in script]
    return watch, said[-1] if said else []


def test_the_last_answer_that_counts() -> None:
    """It stays while the source says nothing, something else only now and then, or can't be read at all."""
    for then in ((ONE, TWO, ONE, TWO), ((), ()), (SourceFailed("away"),), (ValueError("odd"),)):
        watch, said = watched(TWO, TWO, *then)
        assert watch.good == TWO and watch.heard
        assert bool(said) is (then[-1] != TWO)


def test_what_it_says() -> None:
    """Each reason for which an answer does not count is a sentence."""
    assert watched(TWO, TWO, ONE)[1] == ["the source says something new: it counts once 2 reads in a row were equal"]
    assert watched(())[1] == ["the source names no node: nothing is changed"]
    assert watched(SourceFailed("away"))[1] == ["The source of the layout can't be read: away"]
    assert watched(ValueError("odd"))[1] == ["The source of the layout can't be read: ValueError: odd"]


def test_a_failure_between_equal_reads() -> None:
    """Of a read that failed nothing is known: those before and after it may be equal."""
    assert watched(TWO, SourceFailed("away"), TWO)[0].good == TWO


def test_the_last_good_answer_outlives_the_process(tmp_path: Path) -> None:
    """It is kept in a file that a source can read too; until the source itself speaks it is known to be old."""
    file = tmp_path / "new" / "nodes.json"
    watched(TWO, TWO, ONE, file=file)
    again, _ = watched(SourceFailed("away"), file=file)
    assert again.good == TWO and not again.heard
    assert source(f"file:{file}").read() == TWO


def test_a_file_that_is_no_answer(tmp_path: Path) -> None:
    """One that was damaged counts for nothing, and one that can't be written is no reason to stop."""
    file = tmp_path / "nodes.json"
    file.write_text("{")
    assert watched(file=file)[0].good == ()
    watch, said = watched(TWO, TWO, file=file / "below")
    assert watch.good == TWO and said[0].startswith("the last good answer can't be kept: ")


def test_weights_and_zones_are_kept() -> None:
    """What is written is what was read, whatever the source knew."""
    document = {"nodes": ["10.0.0.1", {"name": "b", "address": "10.0.0.2", "weight": 3, "zone": "x"}]}
    assert from_document(document) == (Found("10.0.0.1:11211"), Found("10.0.0.2:11211", "b", 3, "x"))
