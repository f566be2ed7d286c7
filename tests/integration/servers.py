"""Brokers and databases that a test starts for itself, on ports and in folders of their own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from glob import glob
from pathlib import Path
from typing import Any

from django_dcache.testing.addresses import HeldPort

from .sites import until


class RabbitMQ:
    """A RabbitMQ that keeps its durable queues: after `kill -9` they are there again."""

    def __init__(self, folder: Path):
        self._folder, self._port, self._between_nodes = folder / "rabbitmq", HeldPort(), HeldPort()
        self._names = HeldPort()
        # Else the node starts one that outlives it.
        command = ["epmd", "-address", "127.0.0.1", "-port", str(self._names.number)]
        self._name_server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder.mkdir()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port.number}//"

    def start(self) -> None:
        port, folder = self._port.number, self._folder
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = false\n")
        environment = os.environ | {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"dcache{port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._between_nodes.number),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names.number),
        }
        self._process = subprocess.Popen(
            ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert until(self._answers, 120)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port.number), 1) as stream:
                stream.sendall(b"AMQP\x00\x00\x09\x01")
                return stream.recv(1) == b"\x01"
        except OSError:
            return False

    def kill(self) -> None:
        if self._process:
            os.killpg(
                self._process.pid, signal.SIGKILL
            )  # The group that `start` made: a shell, the node and its ports.
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._name_server.kill()
        self._name_server.wait()
        for port in (self._port, self._between_nodes, self._names):
            port.close()


class PostgreSQL:
    """A PostgreSQL on a socket in a folder that its user may reach."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dcache-"))
        self._programs = Path(max(glob("/usr/lib/postgresql/*/bin")))
        # It refuses to run as root.
        self._user = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
        self._process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, Any] = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": self._user.pw_name,
            "HOST": str(self._folder),
        }

    def start(self) -> None:
        os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        data = str(self._folder / "data")
        subprocess.run(
            [self._programs / "initdb", "-D", data, "-A", "trust"], check=True, stdout=subprocess.DEVNULL, **self._as()
        )
        options = ["-c", f"unix_socket_directories={self._folder}", "-c", "listen_addresses=", "-c", "fsync=off"]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", data, *options], stderr=subprocess.DEVNULL, **self._as()
        )
        ready = [self._programs / "pg_isready", "-h", self._folder]
        assert until(lambda: subprocess.run(ready, stdout=subprocess.DEVNULL).returncode == 0)

    def _as(self) -> dict[str, Any]:
        mine = self._user.pw_uid == os.geteuid()
        return {} if mine else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def close(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
