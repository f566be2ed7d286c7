"""The peers, installed one by one: one that can't be installed is left out, and the reason is printed."""

import shutil
import subprocess
import sys
import tempfile
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
    if peer.folder:
        with tempfile.TemporaryDirectory() as copy:
            # Of a copy: what a build leaves behind would be part of the next one.
            source = shutil.copytree(CHECKOUT / peer.folder, Path(copy) / peer.folder)
            return _pip("--force-reinstall", "--no-deps", str(source))
    # Binary packages first: this is what its users have.
    reason = _pip("--only-binary", ":all:", *wanted)
    if not reason or not peer.headers or not shutil.which("apt-get"):
        return reason
    for command in (["apt-get", "update"], ["apt-get", "-y", "install", "gcc", "python3-dev", *peer.headers]):
        subprocess.run(command, capture_output=True)
    return _pip(*wanted)


def _pip(*arguments: str) -> str:
    """Why pip could not install this; empty if it could."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input", *arguments]
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
