"""The example shop of the checkout, served by gunicorn."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from django_dcache.errors import DCacheError

WORKERS = 4
CHILDREN = 2
STARTUP = 60.0  # seconds


class CannotPlay(DCacheError):
    """The demo can't be played here."""


def find_project() -> Path:
    """The folder of the example shop. Raises CannotPlay, which says what is missing."""
    if not shutil.which("memcached"):
        raise CannotPlay(
            "there is no memcached on PATH; for instance `apt install memcached`, `brew install memcached`"
        )
    if not find_spec("gunicorn"):
        raise CannotPlay("gunicorn serves the site; `pip install 'django-dcache[demo]'` brings it")
    for checkout in (Path(__file__).parents[3], Path.cwd(), *Path.cwd().parents):
        if (checkout / "example_project" / "shop" / "wsgi.py").exists():
            return checkout / "example_project"
    raise CannotPlay(
        "its site is example_project/, which is not part of the package; clone the repository and run script/demo there"
    )


class Site:
    """The shop on these nodes. Everything it writes is in `folder`."""

    def __init__(self, project: Path, folder: Path, nodes: Sequence[str]):
        self.project, self.folder, self.log = project, folder, folder / "site.log"
        checkout = project.parent
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DCACHE_", "SHOP_"))},
            "PYTHONPATH": os.pathsep.join([str(checkout), str(checkout / "manager"), str(project)]),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "DCACHE_NODES": ",".join(nodes),
            "SHOP_DATABASE": str(folder / "shop.sqlite3"),
            "SHOP_DEMO": "1",
        }
        self.url = ""
        self.works: Callable[[], bool] = lambda: True
        """Whether the worker, once it was started, still runs."""

    def manage(self, *arguments: str, **environment: str) -> None:
        """Run manage.py. Raises CannotPlay with what it printed."""
        run = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.project,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if run.returncode:
            raise CannotPlay(f"manage.py {arguments[0]} failed:\n{run.stdout}")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a port that the kernel picks; `url` says which."""
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            log = stack.enter_context(self.log.open("ab"))
            server = stack.enter_context(
                running(
                    *("-m", "gunicorn", "shop.wsgi", f"--workers={WORKERS}", "--threads=4", "--keep-alive=60"),
                    *(f"--bind=fd://{listener.fileno()}", "--no-control-socket", "--log-level=warning"),
                    *("--graceful-timeout=2", f"--worker-tmp-dir={self.folder}"),
                    cwd=self.project,
                    env=self.environment,
                    pass_fds=[listener.fileno()],
                    stdout=log,
                    stderr=log,
                )
            )
            self._await(server)
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """A Celery worker for the shop's jobs. The broker is a folder."""
        with self.log.open("ab") as log:
            # As root or not, it takes messages from nobody else.
            quiet = ("-W", "ignore:You're running the worker with superuser")
            command = ("-m", "celery", "-A", "shop", "worker", "-Q", "dcache", f"--concurrency={CHILDREN}")
            # -B: beat, in the same process; what it remembers is in a file.
            more = ("-B", f"--schedule={self.folder / 'beat'}", "--loglevel=WARNING", "--without-gossip")
            options = {"cwd": self.project, "env": self.environment, "stdout": log, "stderr": log}
            with running(*quiet, *command, *more, **options) as worker:
                self.works = lambda: worker.poll() is None
                yield

    def _await(self, server: "subprocess.Popen[bytes]") -> None:
        give_up = time.monotonic() + STARTUP
        while server.poll() is None and time.monotonic() < give_up:
            try:
                with urlopen(f"{self.url}/healthz", timeout=STARTUP):
                    return
            except (URLError, OSError):
                time.sleep(0.1)
        raise CannotPlay(f"the site did not start:\n{self.last_words()}")

    def last_words(self, lines: int = 20) -> str:
        """The end of the site's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def running(*arguments: str, **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python process that ends with the block. Ctrl-C does not reach it: what ends when is decided here."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
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
