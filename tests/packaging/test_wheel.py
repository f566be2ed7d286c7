"""What ships as django-dcache."""

from configparser import ConfigParser
from shutil import copytree
from zipfile import ZipFile

import pytest

from support import builds
from support.builds import CHECKOUT, ROOTS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Its wheel."""
    with ZipFile(builds.main_wheel(tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def shipped(wheel, *, metadata=False):
    """The names of the wheel's files, its own `*.dist-info/` apart."""
    return {name for name in wheel.namelist() if (".dist-info/" in name) is metadata}


def on_disk(tmp_path):
    """Every file of the folders that ship, named as the wheel names it, with its content."""
    for number, source in enumerate(ROOTS.values()):
        copytree(source, tmp_path / str(number), ignore=builds.LEFT_OVERS)
    return {
        f"{root}/{file.relative_to(tmp_path / str(number))}": file.read_bytes()
        for number, root in enumerate(ROOTS)
        for file in (tmp_path / str(number)).rglob("*")
        if file.is_file() and file.name != ".gitignore"
    }


def test_packages_are_listed(tmp_path):
    """Every folder with code that ships is listed in setup.cfg, and nothing else is."""
    setup = ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    folders = {name.rpartition("/")[0].replace("/", ".") for name in on_disk(tmp_path) if name.endswith(".py")}
    assert sorted(folders) == sorted(listed)


def test_two_roots(wheel):
    """The wheel installs `django_dcache` and `dcache_manager`, and no other top-level name."""
    assert {name.partition("/")[0] for name in shipped(wheel)} == {"django_dcache", "dcache_manager"}


def test_nothing_is_left_behind(wheel, tmp_path):
    """The wheel holds every file of its packages, `py.typed`, templates and the demo's site included; nothing more."""
    assert {name: wheel.read(name) for name in shipped(wheel)} == on_disk(tmp_path)


def test_metadata(wheel):
    """The wheel names its licence, ships its text, and installs `dcache-admin`."""
    files = {name.partition(".dist-info/")[2]: wheel.read(name).decode() for name in shipped(wheel, metadata=True)}
    assert "License-Expression: BSD-3-Clause" in files["METADATA"]
    assert files["licenses/LICENSE"] == (CHECKOUT / "LICENSE").read_text()
    assert "dcache-admin = dcache_manager.cli.main:main" in files["entry_points.txt"]
