"""A site whose jobs run on Celery workers: what it takes to start them, to kill their children, and to ask it."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from support.load.processes import environment

OPTIONS: dict[str, Any] = {"freshness": 0.1, "timeout": 0.7, "connect_timeout": 5.0}


class Site:
    """`admin(...)` runs dcache-admin in the project; `work(children)` starts a worker, which ends with the site."""

    def __init__(
        self,
        folder: Path,
        addresses: list[str],
        broker: str | None = None,
        options: dict[str, Any] = OPTIONS,
        database: dict[str, Any] | None = None,
    ):
        sqlite = {"timeout": 20, "transaction_mode": "IMMEDIATE"}
        database = database or {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "site.sqlite3"),
            "OPTIONS": sqlite,
        }
        self.environment = (
            os.environ
            | environment(addresses, options)
            | {
                "DJANGO_SETTINGS_MODULE": "support.celery_site.settings",
                "DCACHE_TEST_DATABASE": json.dumps(database),
                "XDG_STATE_HOME": str(folder),
            }
            | ({"DCACHE_TEST_BROKER": broker} if broker else {})
        )
        self._folder, self.log = folder, folder / "workers.log"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self._output("-m", "django", "migrate", "-v", "0")

    def admin(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The object that a command answers with."""
        found: dict[str, Any] = json.loads(self._output("-m", "dcache_manager", *arguments, "--json", code=code))
        return found

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that is running."""
        return subprocess.Popen(
            [sys.executable, "-m", "dcache_manager", *arguments, "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, query: str) -> list[Any]:
        """The first column of what a query finds in the project's database."""
        with closing(sqlite3.connect(self._folder / "site.sqlite3", timeout=20)) as database:
            return [row[0] for row in database.execute(query)]

    def _output(self, *command: str, code: int = 0) -> str:
        run = subprocess.run(
            [sys.executable, *command], env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == code, f"{command}: {run.returncode} {run.stdout} {run.stderr} {self.said}"
        return run.stdout.strip()

    def python(self, code: str) -> str:
        """What code prints that runs with the site's settings."""
        return self._output("-c", code)

    @property
    def said(self) -> str:
        """What the workers said."""
        return self.log.read_text() if self.log.exists() else ""

    def work(self, children: int = 2, *options: str) -> "subprocess.Popen[bytes]":
        self._started += 1
        name = f"w{self._started}@test"
        command = ["-m", "celery", "-A", "support.celery_site.settings", "worker", "-Q", "dcache", "-n", name]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
        with self.log.open("ab") as said:
            worker = subprocess.Popen(
                [sys.executable, *command, "-c", str(children), *quiet, *options],
                env=self.environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def children(self) -> list[int]:
        parents = ",".join(str(worker.pid) for worker in self.workers)
        listed = subprocess.run(["pgrep", "-P", parents], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def kill_child(self, holder: str = "") -> bool:
        """`kill -9` the worker's child that holds something under this name; else any. False if it is gone already."""
        pid = int(holder.split("/")[1]) if holder else random.choice(self.children())
        if pid not in self.children():
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    def kill_workers(self) -> None:
        """`kill -9` everything, and whatever messages it had got with it."""
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self.workers.clear()

    def close(self) -> None:
        self.kill_workers()
