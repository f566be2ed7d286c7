"""Answers, as tables and as objects."""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcache_manager.cli.options import Choices
from dcache_manager.cli.output import Answer, Column, cell, encode, telling, write
from dcache_manager.formatting import printable, size, span

COLUMNS = [Column("name", "NAME"), Column("items", "ITEMS", right=True)]


def test_envelope():
    """Every answer has the same envelope; what is said once comes after it."""
    answer = Answer("plan", [{"name": "a"}], [], "default", 3, "stable", "a title", {"moved_share": 0.25})
    assert answer.envelope(datetime(2026, 11, 23, tzinfo=UTC)) == {
        "schema": "dcache.plan/v1",
        "alias": "default",
        "epoch": 3,
        "phase": "stable",
        "generated_at": "2026-11-23T00:00:00+00:00",
        "items": [{"name": "a"}],
        "errors": [],
        "moved_share": 0.25,
    }


def test_table(capsys):
    """A table off a terminal is neither wrapped, cut, padded nor coloured, and its errors are on stderr."""
    items = [{"name": "n" * 300, "items": 1}, {"name": "b", "items": None}]
    answer = Answer("status", items, [{"error": "NodeTimeout", "message": "late"}], title="default: epoch 1")
    write(answer, COLUMNS, Choices())
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split() for line in lines] == [
        ["default:", "epoch", "1"],
        ["NAME", "ITEMS"],
        ["n" * 300, "1"],
        ["b", "–"],
    ]
    assert all(line == line.rstrip() for line in lines)
    assert captured.err == "NodeTimeout: late\n"


def test_columns_that_say_nothing():
    """On a screen a column that is empty, or the same as the one before it, is left out."""
    columns = [Column(name, name) for name in ("name", "address", "zone", "weight")]
    items = [{"name": "a:1", "address": "a:1", "zone": "", "weight": 1}, {"name": "b:1", "address": "b:1", "weight": 1}]
    assert [column.field for column in telling(items, columns)] == ["name", "weight"]
    items[0]["zone"], items[1]["address"] = "z", "10.0.0.1:1"
    assert telling(items, columns) == columns


def test_nothing_is_markup(capsys):
    """Square brackets in a name are brackets."""
    write(Answer("status", [{"name": "[red]x[/red]", "items": 1}]), COLUMNS, Choices())
    assert "[red]x[/red]" in capsys.readouterr().out


@given(st.text())
def test_nothing_moves_the_cursor(text):
    """No text, whatever is in it, gets to a terminal or a file with a control character, a surrogate or a line end."""
    shown = cell(Column("key", "KEY"), {"key": text})
    assert shown.isprintable() and printable(shown) == shown
    line = encode({"key": text})
    assert re.fullmatch(r"[ -~]*", line)
    assert json.loads(line) == {"key": text}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB"), (2**62, "4194304.0 TiB")],
)
def test_size(value, text):
    """Sizes in the largest unit that leaves at least one."""
    assert size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (-5, "0s"), (59.6, "1m 0s"), (3600, "1h 0m"), (90061, "1d 1h")]
)
def test_span(seconds, text):
    """A length of time by its two largest units."""
    assert span(seconds) == text
