"""Distributions of this checkout, built as a release builds them, and installed outside of it."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

from support.checkout import CHECKOUT

ROOTS = {
    "django_dcache": CHECKOUT / "django_dcache",
    "dcache_manager": CHECKOUT / "manager" / "dcache_manager",
    "dcache_manager/demo/example_project": CHECKOUT / "example_project",
}
"""The folders that django-dcache ships, by where they are in its wheel."""
BUILD = "import sys, setuptools.build_meta as backend; print(backend.build_{kind}(sys.argv[1]))"
LEFT_OVERS = ignore_patterns("__pycache__", "build", "*.egg-info", "*.sqlite3*", "*.key", "*.messages")
"""What is in a folder that was worked in: setuptools would ship what an earlier build left in build/."""


def build(kind, folder, target):
    """The sdist or wheel of a folder, in `target`."""
    command = [sys.executable, "-c", BUILD.format(kind=kind), target]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return target / run.stdout.splitlines()[-1]


def main_wheel(folder):
    """The wheel of django-dcache, from a clean copy in `folder`."""
    checkout = folder / "checkout"
    checkout.mkdir()
    for file in CHECKOUT.iterdir():
        if file.is_file():
            copy(file, checkout)
    for source in ROOTS.values():
        copytree(source, checkout / source.relative_to(CHECKOUT), ignore=LEFT_OVERS)
    return build("wheel", checkout, folder)


def drill_wheel(folder):
    """The wheel of django-dcache-drill, from a clean copy in `folder`."""
    copytree(CHECKOUT / "drill", folder / "drill", ignore=LEFT_OVERS)
    return build("wheel", folder / "drill", folder)


def installed(folder, *wheels):
    """A virtualenv in `folder` with these wheels; what they depend on is lent by the one that runs the tests."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "installed_base": str(folder)}))
    # Of a path in a .pth file, no .pth file is read: the checkout, installed there in editable form, stays out of it.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "-q", "--no-deps", "--no-index"]
    run = subprocess.run([*pip, "--disable-pip-version-check", *wheels], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder / "bin"
