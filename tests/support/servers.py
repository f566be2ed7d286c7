"""Redis, RabbitMQ and PostgreSQL on ports and in folders of their own, gone after the test."""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django_dcache.testing.addresses import HeldPort
from support.waiting import until

RABBITMQ = Path("/usr/lib/rabbitmq/bin")
POSTGRESQL = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql"))


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


class RabbitMQ:
    """Keeps what it was given on disk: `kill -9` loses no message that it had confirmed."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dcache-rabbit-"))
        self._ports, self._process = [HeldPort() for _ in range(3)], None
        port, distribution, mapper = (port.number for port in self._ports)
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        for held in self._ports:
            held.close()  # Erlang binds without SO_REUSEADDR.
        self._environment = os.environ | {
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",  # else it does not end while it believes that a node is alive
            "RABBITMQ_NODENAME": f"test{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
        }

    def start(self) -> None:
        with (self._folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [RABBITMQ / "rabbitmq-server"], env=self._environment, stdout=said, stderr=said, start_new_session=True
            )
        assert until(self._answers, 120), (self._folder / "said").read_text()

    def _answers(self) -> bool:
        import amqp

        try:
            with amqp.Connection(self.url.split("@")[1].rstrip("/"), connect_timeout=2):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()

    def close(self) -> None:
        self.kill()
        subprocess.run(["epmd", "-kill"], env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._folder)


class PostgreSQL:
    """`database` is its entry for DATABASES."""

    def __init__(self) -> None:
        self._folder, self._port = Path(tempfile.mkdtemp(prefix="dcache-postgres-")), HeldPort()
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "dcache", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {self._port.number} -k {self._folder} -c fsync=off"
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", str(self._folder / "log"), "-o", options, "start"
        )
        self.database: dict[str, Any] = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "dcache",
            "HOST": "127.0.0.1",
            "PORT": self._port.number,
        }

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(POSTGRESQL / program), *arguments]
        subprocess.run(command, user=self._user, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)

    def close(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        self._port.close()
        shutil.rmtree(self._folder)
