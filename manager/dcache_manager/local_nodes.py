"""Real servers on this machine that outlive the command that started them. A file says which are ours."""

import fcntl
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from . import local_servers
from .errors import NotPossible


def up(count: int, memory: int, engine: str = "memcached") -> list[dict[str, Any]]:
    """Start nodes until `count` of an engine run; all of it that run: {"name", "address", "pid"}. `memory` in MB."""
    local_servers.program(engine)
    with _register() as nodes:
        nodes[:] = [node for node in nodes if _is_ours(node)]
        running = [node for node in nodes if _engine(node) == engine]
        for _ in range(count - len(running)):
            address, pid = local_servers.start(engine, memory)
            running.append({"address": address, "pid": pid, "born": _born(pid)})
            nodes.append(running[-1])
        return [{"name": node["address"], "address": node["address"], "pid": node["pid"]} for node in running]


def down() -> list[dict[str, Any]]:
    """End the nodes that `up` started; what became of each."""
    with _register() as nodes:
        ours = [node for node in nodes if _is_ours(node)]
        for node in ours:
            os.kill(node["pid"], signal.SIGTERM)
        outcomes = []
        for node in nodes:
            outcome = "ended" if node in ours else "was gone"
            if node in ours and not local_servers.until(partial(_is_gone, node)):
                os.kill(node["pid"], signal.SIGKILL)
                outcome = "killed"
            outcomes.append({"name": node["address"], "address": node["address"], "outcome": outcome})
        nodes.clear()
        return outcomes


@contextmanager
def _register() -> Iterator[list[dict[str, Any]]]:
    """The nodes that were started, locked against other commands meanwhile; written back at the end."""
    with (runtime_folder() / "local.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        try:
            nodes = json.loads(file.read() or "[]")
        except ValueError as error:
            raise NotPossible(f"{file.name} can't be read ({error}); delete it once no node of it runs") from None
        try:
            yield nodes
        finally:
            file.seek(0)
            file.truncate()
            json.dump(nodes, file)


def _engine(node: dict[str, Any]) -> str:
    """As `up` is told."""
    scheme, separator, _ = node["address"].partition("://")
    return scheme if separator else "memcached"


def _is_ours(node: dict[str, Any]) -> bool:
    """Whether the process still runs: a process number alone may have been given to another one since."""
    return bool(node["born"]) and _born(node["pid"]) == node["born"]


def _is_gone(node: dict[str, Any]) -> bool:
    return not _is_ours(node)


def _born(pid: int) -> str:
    """When a process was started, in words of the system's own; empty if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    found = subprocess.run(["ps", "-o", "lstart=,stat=", "-p", str(pid)], capture_output=True, text=True)
    started, _, state = found.stdout.strip().rpartition(" ")
    return "" if state.startswith("Z") else started.strip()


def runtime_folder() -> Path:
    """$DCACHE_RUNTIME_DIR, $XDG_RUNTIME_DIR/dcache or /tmp/dcache-UID; made if need be, private to this user."""
    given, session = os.environ.get("DCACHE_RUNTIME_DIR"), os.environ.get("XDG_RUNTIME_DIR")
    if given:
        place = Path(given)
    elif session and Path(session).is_dir():
        place = Path(session) / "dcache"
    else:
        place = Path(tempfile.gettempdir()) / f"dcache-{os.geteuid()}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.lstat()
    except OSError as error:
        raise NotPossible(f"no folder for run-time files: {error}; set DCACHE_RUNTIME_DIR") from None
    # In /tmp another user could have made it first, and would choose which processes `local down` ends.
    if found.st_uid != os.geteuid() or (not given and found.st_mode & 0o077):
        raise NotPossible(f"{place} is not private to this user; set DCACHE_RUNTIME_DIR")
    return place
