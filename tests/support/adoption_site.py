"""A site of several processes that changes its backend while it serves (adoption_load.py)."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.adoption_load import BYTES, FLAG
from support.checkout import CHECKOUT
from support.classic_backends import Classic

PROCESSES = 4
WHILE_SOMETHING_ELSE_HAPPENS = 0


class Site:
    """Four processes, each with the old backend or the new one."""

    def __init__(self, folder: Path, classic: Classic, addresses: Sequence[str]):
        self._folder, self._running = folder, {}
        memory = folder / "memory"
        memory.write_bytes(bytes(BYTES))
        self._memory = memory
        terms = {"freshness": 0.25, "timeout": 1.0, "connect_timeout": 1.0, "request_budget": 10}
        self.new = classic.new_entry(list(addresses), **terms)
        scene = {"memory": str(memory), "processes": PROCESSES, "new": self.new}
        (folder / "scene.json").write_text(json.dumps(scene | {"old": classic.old_entry(list(addresses))}))
        paths = [CHECKOUT / "tests", CHECKOUT, CHECKOUT / "manager", folder]
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
        (folder / "site_settings.py").write_text(
            f"CACHES = {{'default': {self.new!r}}}\nSECRET_KEY = 'adoption'\nINSTALLED_APPS = []\nDATABASES = {{}}\n"
        )

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._running):
            self.stop(number)

    def start(self, number: int, role: str) -> None:
        """Start this process, in place of the one that had its number."""
        self.stop(number)
        command = [sys.executable, "-m", "support.adoption_load", str(self._folder / "scene.json"), role, str(number)]
        self._running[number] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
        )

    def stop(self, number: int) -> None:
        if process := self._running.pop(number, None):
            process.stdin.close()
            process.wait(60)
            process.stdout.close()

    def tell(self, what: str, numbers: Sequence[int] = range(PROCESSES)) -> None:
        for number in numbers:
            self._running[number].stdin.write(f"{what}\n")
            self._running[number].stdin.flush()

    def answers(self, numbers: Sequence[int] = range(PROCESSES)) -> Counter[str]:
        """What they have seen, together."""
        seen: Counter[str] = Counter()
        for number in numbers:
            line = self._running[number].stdout.readline()
            assert line, f"process {number} ended with {self._running[number].wait()}"
            seen.update(json.loads(line))
        return seen

    def ask(self, what: str, numbers: Sequence[int] = range(PROCESSES)) -> Counter[str]:
        self.tell(what, numbers)
        return self.answers(numbers)

    def under_load(self, *commands: Sequence[str]) -> Counter[str]:
        """What the processes see while these commands of dcache-admin run, one after the other."""
        self._go_on(True)
        self.tell(f"run {WHILE_SOMETHING_ELSE_HAPPENS}")
        try:
            for command in commands:
                self.admin(*command)
        finally:
            self._go_on(False)
        return self.answers()

    def admin(self, *command: str) -> Any:
        """The answer of dcache-admin."""
        line = [sys.executable, "-m", "dcache_manager", "--settings", "site_settings", "--yes", "--json", *command]
        done = subprocess.run(line, capture_output=True, text=True, env=self._environment, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _go_on(self, yes: bool) -> None:
        with self._memory.open("r+b") as file:
            file.seek(FLAG)
            file.write(b"\0" if yes else b"\1")
