"""Varnish before the shop, where it is installed: it keeps product pages until a change of the price purges them."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from .site import CannotRun, running

HOW_TO_GET_IT = "there is no varnishd on PATH; for instance `apt install varnish`"
STARTUP_SECONDS = 30.0
"""It compiles its configuration first."""
IDLE_SECONDS = 300
"""For which it keeps a visitor's connection: those of the load are used seldom."""
CONFIGURATION = """vcl 4.1;
import std;
backend default {{ .host = "{host}"; .port = "{port}"; }}

sub vcl_recv {{
    if (req.method == "BAN") {{
        ban("obj.http.Surrogate-Key ~ " + req.http.X-Ban-Tags);
        return (synth(200, "Banned"));
    }}
    if (req.url !~ "^/products/") {{ return (pass); }}
    unset req.http.Cookie;
}}

sub vcl_backend_response {{
    if (now - std.time(beresp.http.Surrogate-Checked, now) > 1.5s) {{ set beresp.uncacheable = true; }}
}}

sub vcl_deliver {{
    unset resp.http.Surrogate-Key;
    unset resp.http.Surrogate-Checked;
}}
"""


def installed() -> bool:
    return bool(shutil.which("varnishd") and shutil.which("varnishadm"))


@contextmanager
def varnish(site: str, folder: Path) -> Iterator[str]:
    """The address of an edge before the site at this address. What it writes is in `folder`. Raises CannotRun."""
    configuration, work, log = folder / "edge.vcl", folder / "varnish", folder / "edge.log"
    where = urlsplit(site)
    configuration.write_text(CONFIGURATION.format(host=where.hostname, port=where.port))
    # -a: the kernel picks the port, as it does for the console, which has to know a secret that lies in `work`.
    command = ("varnishd", "-F", "-j", "none", "-a", "127.0.0.1:0", "-f", configuration, "-n", work, "-s", "malloc,64m")
    patience = ("-p", f"timeout_idle={IDLE_SECONDS}")
    with log.open("ab") as said, running(*map(str, command), *patience, stdout=said, stderr=said) as server:
        give_up = time.monotonic() + STARTUP_SECONDS
        while server.poll() is None and time.monotonic() < give_up:
            if address := _address(work):
                yield address
                return
            time.sleep(0.1)
        raise CannotRun(f"varnishd did not start:\n{log.read_text(errors='replace')}")


def _address(work: Path) -> str | None:
    """Where it listens, once it does."""
    asked = subprocess.run(
        ["varnishadm", "-n", str(work), "-t", "5", "debug.listen_address"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    fields = asked.stdout.split()  # name, host, port
    return f"http://{fields[1]}:{fields[2]}" if asked.returncode == 0 and len(fields) >= 3 else None
