"""What ships."""

import subprocess
import sys
from configparser import ConfigParser
from shutil import copy, copytree, ignore_patterns
from zipfile import ZipFile

import pytest

from support.checkout import CHECKOUT

ROOTS = {"django_dcache": CHECKOUT / "django_dcache", "dcache_manager": CHECKOUT / "manager" / "dcache_manager"}
BUILD = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
LEFT_OVERS = ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a clean copy: setuptools would ship what an earlier build left in build/."""
    copied, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for file in CHECKOUT.iterdir():
        if file.is_file():
            copy(file, copied)
    for source in ROOTS.values():
        copytree(source, copied / source.relative_to(CHECKOUT), ignore=LEFT_OVERS)
    run = subprocess.run([sys.executable, "-c", BUILD, built], cwd=copied, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    with ZipFile(next(built.iterdir())) as archive:
        yield archive


def shipped(wheel, *, metadata=False):
    """The names of the wheel's files, its own `*.dist-info/` apart."""
    return {name for name in wheel.namelist() if (".dist-info/" in name) is metadata}


def on_disk():
    """Every file below the two import roots, named as the wheel names it, with its content."""
    return {
        f"{root}/{file.relative_to(source)}": file.read_bytes()
        for root, source in ROOTS.items()
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_packages_are_listed():
    """Every folder with code below the two roots is listed in setup.cfg, and nothing else is."""
    setup = ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    folders = {name.rpartition("/")[0].replace("/", ".") for name in on_disk() if name.endswith(".py")}
    assert sorted(folders) == sorted(listed)


def test_two_roots(wheel):
    """The wheel installs `django_dcache` and `dcache_manager`, and no other top-level name."""
    assert {name.partition("/")[0] for name in shipped(wheel)} == set(ROOTS)


def test_nothing_is_left_behind(wheel):
    """The wheel holds every file of the two packages, `py.typed` and templates included, and nothing more."""
    assert {name: wheel.read(name) for name in shipped(wheel)} == on_disk()


def test_metadata(wheel):
    """The wheel names its licence, ships its text, and installs `dcache-admin`."""
    files = {name.partition(".dist-info/")[2]: wheel.read(name).decode() for name in shipped(wheel, metadata=True)}
    assert "License-Expression: BSD-3-Clause" in files["METADATA"]
    assert files["licenses/LICENSE"] == (CHECKOUT / "LICENSE").read_text()
    assert "dcache-admin = dcache_manager.cli.main:main" in files["entry_points.txt"]
