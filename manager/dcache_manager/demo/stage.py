"""What the audience sees: colours and live figures on a terminal, plain lines elsewhere. All of it on stderr."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.text import Text

GLANCE = 0.25  # seconds between two looks at the figures


class Stage:
    """`with Stage(...) as stage:`; one line at the bottom of a terminal says what is going on right now."""

    def __init__(self, quiet: bool = False):
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._status: Status | None = None

    def __enter__(self) -> "Stage":
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._status:
            self._status.stop()

    def act(self, text: str) -> None:
        """What is done next."""
        self._print(Text(f"• {text}", "bold"))
        self.now(text)

    def say(self, text: str) -> None:
        """Something about the present act."""
        self._print(Text(f"  {text}"))

    def aside(self, text: str) -> None:
        """What another program said."""
        self._print(Text(f"  {text}", "dim"))

    def now(self, text: str) -> None:
        """On a terminal: what goes on right now."""
        if self._status:
            self._status.update(Text(text, "cyan"))

    def watch(self, seconds: float, figures: Callable[[], str], until: Callable[[], bool] = lambda: False) -> None:
        """Show live figures for so long, or until something has happened."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            self.now(figures())
            time.sleep(min(left, GLANCE))

    def _print(self, text: Text) -> None:
        # A log has no width: a line stays a line.
        self._console.print(text, soft_wrap=not self._console.is_terminal)
