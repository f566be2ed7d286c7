"""What is told while the demo runs: colours and live figures on a terminal, plain lines elsewhere. All on stderr."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.text import Text

REFRESH_SECONDS = 0.25


class Narration:
    """`with Narration(...) as narration:`; the last line of a terminal shows what happens now."""

    def __init__(self, quiet: bool = False):
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._status: Status | None = None

    def __enter__(self) -> "Narration":
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._status:
            self._status.stop()

    def heading(self, text: str) -> None:
        """What is done next."""
        self._print(Text(f"• {text}", "bold"))
        self.status(text)

    def say(self, text: str) -> None:
        """Something about the present step."""
        self._print(Text(f"  {text}"))

    def quote(self, text: str) -> None:
        """What another program said."""
        self._print(Text(f"  {text}", "dim"))

    def status(self, text: str) -> None:
        """On a terminal: what happens now."""
        if self._status:
            self._status.update(Text(text, "cyan"))

    def watch(self, seconds: float, figures: Callable[[], str], until: Callable[[], bool] = lambda: False) -> None:
        """Show live figures for that long, or until something has happened."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            self.status(figures())
            time.sleep(min(left, REFRESH_SECONDS))

    def _print(self, text: Text) -> None:
        # A log has no width: a line stays a line.
        self._console.print(text, soft_wrap=not self._console.is_terminal)
