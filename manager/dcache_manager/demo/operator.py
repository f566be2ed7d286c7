"""dcache-admin, as an operator would run it beside the site: another process, with the site's settings."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from django_dcache.errors import DCacheError

from .narration import Narration
from .site import Site


class CommandFailed(DCacheError):
    """A command of the demo failed."""


class Operator:
    def __init__(self, site: Site, narration: Narration, figures: Callable[[], str]):
        self._site, self._narration, self._figures = site, narration, figures
        self._environment = {**site.variables, "XDG_STATE_HOME": str(site.folder)}
        self._folder = site.project

    def run(self, *arguments: str) -> dict[str, Any]:
        """The answer of `dcache-admin ARGUMENTS --json`; what it says meanwhile is shown. Raises CommandFailed."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dcache_manager", *arguments, "--json"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            answer: list[str] = []
            threads = [
                threading.Thread(target=answer.extend, args=(process.stdout,)),
                threading.Thread(target=self._relay, args=(process.stderr,)),
            ]
            try:
                for thread in threads:
                    thread.start()
                self._narration.watch(
                    float("inf"), self._figures, until=lambda: process.poll() is not None or not self._site.works()
                )
                if process.poll() is None:
                    raise CommandFailed(
                        f"the Celery worker has ended, and the job stands still\n{self._site.last_words()}"
                    )
            except BaseException:
                process.terminate()  # the resize is left as it is: the fleet ends with the demo
                raise
            finally:
                for thread in threads:
                    thread.join()
        if process.returncode:
            raise CommandFailed(f"dcache-admin {' '.join(arguments)} ended with exit code {process.returncode}")
        document: dict[str, Any] = json.loads("".join(answer))
        return document

    def _relay(self, lines: Any) -> None:
        for line in lines:
            self._narration.quote(line.rstrip())
