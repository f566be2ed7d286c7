"""Progress, on a terminal and off it."""

import logging
import sys
from contextlib import redirect_stderr
from io import StringIO

from dcache_manager.cli.progress_bar import LINE_SECONDS, Bar, Lines, describe
from dcache_manager.jobs.progress import Progress
from django_dcache.testing import ManualClock


def test_a_line_every_ten_seconds_and_at_each_phase():
    """Off a terminal there is a line at once, at each change of phase or state, and every ten seconds between."""
    clock, said = ManualClock(), []
    report = Lines(clock, said.append)
    progress = Progress("job", "me", phase="copy")
    for _ in range(25):
        report(progress)
        clock.advance(1)
    assert len(said) == 1 + 24 // LINE_SECONDS
    progress.phase = "flip"
    report(progress)
    progress.state = "paused"
    report(progress)
    assert len(said) == 5


def test_describe():
    """A report is one line: how much of the pass, how many keys, how fast, how long still."""
    progress = Progress("job", "me", phase="copy", epoch=3, listed=200, done=50, moved=40, bytes=2048, moving_seconds=2)
    progress.pass_seconds = 2
    progress.doing = "a\x1b: 200 keys"
    line = r"running: epoch 3, copy, 25%, 40 keys moved (2.0 KiB) at 20 keys/s, ETA 6s, a\x1b: 200 keys"
    assert describe(progress) == line


def test_nothing_is_said_of_keys_before_the_first_moves():
    """Before the first key moves, a report says what is being waited for, and no zeros."""
    progress = Progress("job", "me", phase="prepare", epoch=2, doing="waiting")
    assert describe(progress) == "running: epoch 2, prepare, waiting"


class Terminal(StringIO):
    def isatty(self):
        return True


def test_logging_beside_a_bar():
    """What a project logs to the terminal comes out above the bar and not in it; afterwards all is as it was."""
    terminal, logger = Terminal(), logging.getLogger("shop.of.these.tests")
    with redirect_stderr(terminal):
        handler = logging.StreamHandler(sys.stderr)
        logger.addHandler(handler)
        try:
            with Bar() as report:
                report(Progress("job", "me", phase="copy", listed=10, done=5))
                assert handler.stream is sys.stderr and handler.stream is not terminal
                logger.error("a line of the project's")
            assert handler.stream is terminal and "a line of the project's\n" in terminal.getvalue()
        finally:
            logger.removeHandler(handler)
