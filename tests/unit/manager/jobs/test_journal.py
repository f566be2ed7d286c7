"""The record of resizes, and the report that is in it."""

import os
from pathlib import Path

import pytest
from django.test import override_settings

from dcache_manager.jobs.journal import FileJournal, NoJournal
from dcache_manager.jobs.progress import Progress


@pytest.fixture
def journal(tmp_path: Path) -> FileJournal:
    return FileJournal(tmp_path / "deep" / "default.jsonl")


def test_round_trip(journal: FileJournal) -> None:
    """What was recorded comes back in order, with the job's counts of that moment."""
    progress = Progress("job", "owner", moved=1)
    journal.record("began", progress, wish="run")
    progress.moved = 2
    journal.record("done", progress)
    assert [(entry["event"], entry["moved"]) for entry in journal.entries()] == [("began", 1), ("done", 2)]
    assert next(journal.entries())["wish"] == "run"


def test_nothing_recorded(journal: FileJournal) -> None:
    """A journal that nobody has written is empty, and so is the one that keeps nothing."""
    NoJournal().record("began", Progress("job", "owner"))
    assert not list(journal.entries())


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_torn_line(journal: FileJournal, kept: int) -> None:
    """A line torn by a crash, at whatever byte, is skipped; the lines before and after it stay."""
    for job in ("first", "torn"):
        journal.record("began", Progress(job, "owner"))
    whole = journal.path.read_bytes()
    second = whole.index(b"\n") + 1
    journal.path.write_bytes(whole[:second] + whole[second:].strip()[:kept])
    journal.record("began", Progress("last", "owner"))
    assert [entry["job"] for entry in journal.entries()] == ["first", "last"]


def test_garbage(journal: FileJournal) -> None:
    """Lines that are no objects are skipped."""
    journal.record("began", Progress("job", "owner"))
    with journal.path.open("a") as file:
        file.write('7\n"text"\n[]\n\n')
    assert [entry["job"] for entry in journal.entries()] == ["job"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk() -> None:
    """A full disk stops no resize: it is noted, once."""
    progress = Progress("job", "owner")
    for _ in range(2):
        FileJournal(Path("/dev/full")).record("began", progress)
    assert len(progress.notes) == 1 and os.strerror(28) in progress.notes[0]


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The journal of a fleet is where the system keeps state, in a folder of the project's own: two projects that each
    have a fleet `default` see nothing of each other, and a new SECRET_KEY loses nothing while the old one is known."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with override_settings(SECRET_KEY="first"):
        first = FileJournal.of("default").path
        first.parent.mkdir(parents=True)
    assert first.parent.parent == tmp_path / "dcache" and first.name == "default.jsonl"
    with override_settings(SECRET_KEY="second"):
        assert FileJournal.of("default").path != first
    with override_settings(SECRET_KEY="second", SECRET_KEY_FALLBACKS=["first"]):
        assert FileJournal.of("default").path == first


def test_report_round_trip() -> None:
    """A report reads back from a keeper as it was left."""
    progress = Progress(
        "job", "owner", moved=10, moving_seconds=2.0, pass_seconds=2.0, listed=30, done=10, notes=["said"]
    )
    assert Progress.decode(progress.encode()) == progress
    assert progress.rate == 5.0 and progress.eta == 4.0


@pytest.mark.parametrize("data", [b"", b"no", b"7", b"[]", b"{}", b'{"job": 1, "unknown": 2}', b"\xff"])
def test_report_that_makes_no_sense(data: bytes) -> None:
    """A report that can't be understood is none."""
    assert Progress.decode(data) is None


def test_report_before_anything_moved() -> None:
    """Before the first key is moved there is no rate, and nobody knows how long it will take."""
    progress = Progress("job", "owner", listed=100)
    assert progress.rate == 0.0 and progress.eta is None
