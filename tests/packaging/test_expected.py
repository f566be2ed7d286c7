"""The page on what is expected shows each thing: by a command that exists, a picture, or a line of its session.

tests/packaging/test_docs.py runs the session.
"""

import re

import click
import pytest

from dcache_manager.cli.main import root
from support.checkout import CHECKOUT

SHOWN = r"`dcache-admin |\.\./[\w-]+\.png\)"
PAGE = (CHECKOUT / "docs/reference/expected.md").read_text()


def test_there_are_twenty_one():
    """Each row has a number, what is expected, and a command, a picture, or a line with that number in the session."""
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 22))
    lines = set(re.findall(r"^>>> .*# (\d+)\b", PAGE, re.MULTILINE))
    assert [number for number, _, where in rows if not (re.search(SHOWN, where) or number in lines)] == []
    assert lines == set(re.findall(r"\[line (\d+)\]", PAGE))


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`dcache-admin ([^`]+)`", PAGE))))
def test_commands_exist(line):
    """Every command of the page is one."""
    command: click.Command | None = root
    for word in line.split():
        if word.startswith("-"):
            assert any(word in parameter.opts for parameter in command.params)
            break
        command = command.get_command(click.Context(command), word)
        assert command, line
