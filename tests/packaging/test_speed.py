"""What ships as django-dcache-speed."""

import re
import subprocess
import sys
import tarfile
import tomllib
from configparser import ConfigParser
from shutil import copytree, ignore_patterns
from zipfile import ZipFile

import pytest

from django_dcache.runtime import speed
from support.checkout import CHECKOUT

SOURCE = CHECKOUT / "speed"
BUILD = "import sys, setuptools.build_meta as backend; print(backend.build_{kind}(sys.argv[1]))"
PROJECT = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Builds an sdist or a wheel of a folder."""

    def build(kind, folder):
        built = tmp_path_factory.mktemp(kind)
        command = [sys.executable, "-c", BUILD.format(kind=kind), built]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return next(built.iterdir())

    return build


@pytest.fixture(scope="module")
def unpacked(build, tmp_path_factory):
    """What is in the sdist of a clean copy."""
    copied, unpacked = tmp_path_factory.mktemp("speed") / "speed", tmp_path_factory.mktemp("unpacked")
    copytree(SOURCE, copied, ignore=ignore_patterns("build", "*.egg-info"))
    with tarfile.open(build("sdist", copied)) as archive:
        archive.extractall(unpacked, filter="data")
    return next(unpacked.iterdir())


def test_sdist(unpacked):
    """The source distribution holds all that it takes to build it, and its licence."""
    files = {file.name: file.read_bytes() for file in unpacked.iterdir() if (SOURCE / file.name).is_file()}
    assert {"LICENSE", "README.md", "dcache_speed.c", "pyproject.toml", "setup.py"} <= files.keys()
    assert all(content == (SOURCE / name).read_bytes() for name, content in files.items())


def test_wheel(unpacked, build):
    """The wheel made of that holds one module, for Python 3.11 and all that come after, and its licence."""
    pytest.importorskip("dcache_speed", reason="no compiled extra: no C compiler, or no Python.h")
    wheel = build("wheel", unpacked)
    assert f"-{PROJECT['version']}-cp311-abi3-" in wheel.name
    with ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if ".dist-info/" not in name]
        (licence,) = [name for name in archive.namelist() if name.endswith("LICENSE")]
        assert modules == ["dcache_speed.abi3.so"]
        assert archive.read(licence) == (CHECKOUT / "LICENSE").read_bytes()


def test_numbers_agree():
    """The interface of the source, the version of the distribution and the one that the extra asks for go together."""
    (interface,) = re.findall(r"^#define INTERFACE (\d+)$", (SOURCE / "dcache_speed.c").read_text(), re.MULTILINE)
    setup = ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    assert int(interface) == speed.INTERFACE == int(PROJECT["version"].partition(".")[0])
    assert setup["options.extras_require"]["speed"].strip() == f"{PROJECT['name']}~={interface}.0"
