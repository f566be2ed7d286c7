"""The peers, installed one by one: whoever can't be had here is left out, and the reason is told."""

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .backends import Backend

CHECKOUT = Path(__file__).parents[1]


def available(peers: Iterable[Backend]) -> dict[str, str]:
    """{name of each peer that can't run: why not}. Installs what is missing into the running virtualenv."""
    return {peer.name: reason for peer in peers if (reason := _missing(peer))}


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed ones of `packages`."""
    found = {package: _version(package) for package in sorted(set(packages))}
    return {package: number for package, number in found.items() if number}


def _missing(peer: Backend) -> str:
    # What is in a folder of this checkout may have changed since the last time.
    wanted = [package for package in peer.packages if peer.folder or not _version(package)]
    if not wanted:
        return ""
    print(f"installing {' '.join(wanted)}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    if peer.folder:
        command += ["--force-reinstall", "--no-deps", str(CHECKOUT / peer.folder)]
    else:
        # Binary packages only: a peer that needs a compiler and headers is not what its users would measure either.
        command += ["--only-binary", ":all:", *wanted]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode == 0:
        return ""
    errors = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
    return (errors or [f"pip failed with {ran.returncode}"])[-1].removeprefix("ERROR: ")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
