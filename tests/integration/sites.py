"""Sites in two regions with a database in common, their workers, and a broker: all processes of the test."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django_dcache.testing import LocalFleet
from django_dcache.testing.addresses import HeldPort

OPTIONS: dict[str, Any] = {"freshness": 0.5, "timeout": 2.0}
REGIONS = ("eu", "us")
SET_UP = "import django; django.setup()\nfrom django.core.cache import cache\n"


def until(true: Any, seconds: float = 60.0) -> bool:
    """Whether it came true in time."""
    give_up = time.monotonic() + seconds
    while not true():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


class Broker:
    """A Redis on a port of its own that keeps nothing on disk: `kill -9` loses every message."""

    def __init__(self) -> None:
        self._port, self._process = HeldPort(), None
        self.url = f"redis://127.0.0.1:{self._port.number}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self._port.number), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd="/")
        assert until(self._answers)

    def _answers(self) -> bool:
        import redis

        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self._port.close()


class Sites:
    """`python(region, code)` runs code in that region's project; `work(region)` starts its worker."""

    def __init__(self, folder: Path, broker: Any = None, database: dict[str, Any] | None = None, **variables: str):
        self._stack, self._folder, self.broker, self._variables = ExitStack(), folder, broker, variables
        self._database = database or {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "sites.sqlite3"),
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
        self.fleets = {region: self._stack.enter_context(LocalFleet(1)) for region in REGIONS}
        self._workers: list[subprocess.Popen[bytes]] = []
        self.python("eu", "from django.core.management import call_command; call_command('migrate', verbosity=0)")

    def environment(self, region: str) -> dict[str, str]:
        variables = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.integration.regional",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "DCACHE_TEST_FLEET": json.dumps({"LOCATION": self.fleets[region].addresses, "OPTIONS": OPTIONS}),
            "DCACHE_TEST_DATABASE": json.dumps(self._database),
            "DCACHE_TEST_REGION": region,
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
            "tests.integration.regional",
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
