"""Who holds a lease or a row: a process, by a name that a process on the same machine can look up."""

import os
import secrets
import socket


def new() -> str:
    """A name for this process that no other has: HOST/PID/RANDOM."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def alive_here(owner: str) -> bool:
    """Whether `owner` is a living process of this machine."""
    pid = _pid_here(owner)
    return pid is not None and _runs(pid)


def dead_here(owner: str) -> bool:
    """Whether `owner` was a process of this machine and is gone. Of other machines nothing can be said."""
    pid = _pid_here(owner)
    return pid is not None and not _runs(pid)


def _pid_here(owner: str) -> int | None:
    host, _, rest = owner.partition("/")
    pid = rest.partition("/")[0]
    return int(pid) if host == socket.gethostname() and pid.isdigit() else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
