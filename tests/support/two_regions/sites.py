"""Sites in two regions, or more, with a database in common, and their workers: all processes of the test."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django_dcache.testing import LocalFleet

OPTIONS: dict[str, Any] = {"freshness": 0.5, "timeout": 2.0}
REGIONS = ("eu", "us")
SET_UP = "import django; django.setup()\nfrom django.core.cache import cache\n"


class Sites:
    """`python(region, code)` runs code in that region's project; `work(region)` starts its worker."""

    def __init__(
        self,
        folder: Path,
        broker: Any = None,
        database: dict[str, Any] | None = None,
        regions: Sequence[str] = REGIONS,
        **variables: str,
    ):
        self._stack, self._folder, self.broker, self._variables = ExitStack(), folder, broker, variables
        self._database = database or {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "sites.sqlite3"),
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
        self.fleets = {region: self._stack.enter_context(LocalFleet(1)) for region in regions}
        self._workers: list[subprocess.Popen[bytes]] = []
        self.python("eu", "from django.core.management import call_command; call_command('migrate', verbosity=0)")

    def environment(self, region: str) -> dict[str, str]:
        variables = os.environ | {
            "DJANGO_SETTINGS_MODULE": "support.two_regions.settings",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "DCACHE_TEST_FLEET": json.dumps({"LOCATION": self.fleets[region].addresses, "OPTIONS": OPTIONS}),
            "DCACHE_TEST_DATABASE": json.dumps(self._database),
            "DCACHE_TEST_REGION": region,
            "DCACHE_TEST_REGIONS": " ".join(self.fleets),
            **self._variables,
        }
        return variables | ({"DCACHE_TEST_BROKER": self.broker.url} if self.broker else {})

    def python(self, region: str, code: str) -> str:
        """What `code` prints, in that project."""
        return self._output(region, "-c", SET_UP + code)

    def start(self, region: str, code: str) -> subprocess.Popen[str]:
        """A process there that runs `code`; to be waited for."""
        command = [sys.executable, "-c", SET_UP + code]
        return subprocess.Popen(command, env=self.environment(region), stdout=subprocess.PIPE, text=True)

    def admin(self, region: str, *arguments: str) -> str:
        """What dcache-admin answers there."""
        return self._output(region, "-m", "dcache_manager", *arguments)

    def _output(self, region: str, *command: str) -> str:
        run = subprocess.run(
            [sys.executable, *command], env=self.environment(region), capture_output=True, text=True, timeout=120
        )
        assert run.returncode in (0, 3), run.stderr
        return run.stdout.strip()

    def work(self, region: str) -> subprocess.Popen[bytes]:
        """A worker of that region, which ends with the test."""
        queue = ["-Q", f"dcache.{region}", "-n", f"{region}@test"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "support.two_regions.settings",
            "worker",
            "-c",
            "1",
            "-P",
            "solo",
        ]
        with (self._folder / f"{region}.log").open("ab") as said:
            worker = subprocess.Popen(
                [*command, *queue, *quiet], env=self.environment(region), stdout=said, stderr=said
            )
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self._stack.close()
