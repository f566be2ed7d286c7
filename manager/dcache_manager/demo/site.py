"""The example shop, served by gunicorn."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import dcache_manager
import django_dcache
from django_dcache.errors import DCacheError

from ..settings import queue

GUNICORN_WORKERS = 4
CELERY_CHILDREN = 2
STARTUP_SECONDS = 60.0


class CannotRun(DCacheError):
    """The demo can't run here."""


def find_project() -> Path:
    """The folder of the example shop. Raises CannotRun, which says what is missing."""
    if not shutil.which("memcached"):
        raise CannotRun("there is no memcached on PATH; for instance `apt install memcached`, `brew install memcached`")
    if not find_spec("gunicorn"):
        raise CannotRun("gunicorn serves the site; `pip install 'django-dcache[demo]'` brings it")
    # Installed, it lies in this package; in a checkout, beside the packages.
    for parent in (Path(__file__).parent, Path(__file__).parents[3]):
        if (parent / "example_project" / "shop" / "wsgi.py").exists():
            return parent / "example_project"
    raise CannotRun(f"its site, example_project, is missing in {Path(__file__).parent}; install django-dcache again")


class Site:
    """The shop on these nodes. Everything it writes is in `folder`."""

    def __init__(self, project: Path, folder: Path, nodes: Sequence[str], options: Mapping[str, Any]):
        """`options`: OPTIONS of its cache."""
        self.project, self.folder, self.log = project, folder, folder / "site.log"
        # Its processes import the very packages that this process runs.
        packages = [str(Path(package.__file__ or "").parents[1]) for package in (django_dcache, dcache_manager)]
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DCACHE_", "SHOP_"))},
            "PYTHONPATH": os.pathsep.join([*packages, str(project)]),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "DCACHE_NODES": ",".join(nodes),
            "DCACHE_OPTIONS": json.dumps(options),
            "SHOP_DATABASE": str(folder / "shop.sqlite3"),
            "SHOP_DEMO": "1",
        }
        self.url = ""
        self.queue = "dcache"
        """Of its jobs."""
        self.works: Callable[[], bool] = lambda: True
        """Whether the worker, once it was started, still runs."""

    def manage(self, *arguments: str, **environment: str) -> None:
        """Run manage.py. Raises CannotRun with what it printed."""
        run = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.project,
            env={**self.variables, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if run.returncode:
            raise CannotRun(f"manage.py {arguments[0]} failed:\n{run.stdout}")

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        """On a port that the kernel picks; `url` says which."""
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield listener

    def stands_behind(self, edge: str) -> None:
        """There is an edge at this address, which the site is to purge. To be said before it serves."""
        self.variables["SHOP_EDGE"] = f"{edge}/"
        self.queue = queue("shop")  # A site with edges is a region.

    @contextmanager
    def serving(self, listener: socket.socket) -> Iterator[None]:
        with self.log.open("ab") as log:
            options = {"cwd": self.project, "env": self.variables, "stdout": log, "stderr": log}
            with python(
                *("-m", "gunicorn", "shop.wsgi", f"--workers={GUNICORN_WORKERS}", "--threads=4", "--keep-alive=60"),
                *(f"--bind=fd://{listener.fileno()}", "--no-control-socket", "--log-level=warning"),
                *("--graceful-timeout=2", f"--worker-tmp-dir={self.folder}"),
                pass_fds=[listener.fileno()],
                **options,
            ) as server:
                self._await(server)
                yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """A Celery worker for the shop's jobs. The broker is a folder."""
        with self.log.open("ab") as log:
            # Only this demo can write the messages it takes, so it may run as root.
            quiet = ("-W", "ignore:You're running the worker with superuser")
            command = ("-m", "celery", "-A", "shop", "worker", "-Q", self.queue, f"--concurrency={CELERY_CHILDREN}")
            # -B: beat, in the same process; what it remembers is in a file.
            more = (
                "-B",
                f"--schedule={self.folder / 'beat'}",
                "--loglevel=WARNING",
                "--without-gossip",
                "--prefetch-multiplier=1",
            )
            options = {"cwd": self.project, "env": self.variables, "stdout": log, "stderr": log}
            with python(*quiet, *command, *more, **options) as worker:
                self.works = lambda: worker.poll() is None
                yield

    def _await(self, server: "subprocess.Popen[bytes]") -> None:
        give_up = time.monotonic() + STARTUP_SECONDS
        while server.poll() is None and time.monotonic() < give_up:
            try:
                with urlopen(f"{self.url}/healthz", timeout=STARTUP_SECONDS):
                    return
            except (URLError, OSError):
                time.sleep(0.1)
        raise CannotRun(f"the site did not start:\n{self.last_words()}")

    def last_words(self, lines: int = 20) -> str:
        """The end of the site's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def python(*arguments: str, **options: object) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """A Python process that ends with the block."""
    return running(sys.executable, *arguments, **options)


@contextmanager
def running(*command: str, **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that ends with the block. Ctrl-C does not reach it: the order of the ending is decided here."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
