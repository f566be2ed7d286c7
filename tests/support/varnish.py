"""A real varnishd on a port that the kernel picked, before an origin in this process."""

import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from support.waiting import until

MISSING = None if shutil.which("varnishd") else "varnishd is missing: script/setup.sh installs it"
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "edge.md"


def _configuration(origin_port: int) -> str:
    """The first one of the how-to, where the site is this machine."""
    shown = re.search(r"```vcl\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown and '"10.0.0.0"/24' in shown[1]
    backend = f'backend default {{ .host = "127.0.0.1"; .port = "{origin_port}"; }}'
    return f"vcl 4.1;\n{backend}\n" + shown[1].replace('"10.0.0.0"/24', '"127.0.0.1"')


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def origin(application: Callable[..., Any]) -> Iterator[int]:
    """Its port, while it serves."""
    server = make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Varnish:
    """varnishd with the VCL of docs/howto/edge.md."""

    def __init__(self, origin_port: int):
        self._folder = tempfile.TemporaryDirectory()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        vcl = f"{self._folder.name}/default.vcl"
        with open(vcl, "w") as file:
            file.write(_configuration(origin_port))
        self._process = subprocess.Popen(
            [
                "varnishd",
                "-F",
                "-j",
                "none",
                "-a",
                f"127.0.0.1:{self.port}",
                "-f",
                vcl,
                "-n",
                f"{self._folder.name}/work",
            ]
            + ["-s", "malloc,20m", "-T", "none"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert until(self._answers, seconds=30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def get(self, path: str = "") -> tuple[str, bool]:
        """The body, and whether it came from the edge."""
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return response.read().decode(), " " in response.headers["X-Varnish"]

    def _answers(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self) -> None:
        """It answers nothing from now on, and keeps what it has."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        # The child, which serves, is in a session of its own.
        children = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True).stdout
        for child in children.split():
            subprocess.run(["kill", f"-{number}", child], check=True)

    def stop(self) -> None:
        self.resume()
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()
