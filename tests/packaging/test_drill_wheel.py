"""What ships as django-dcache-drill."""

import subprocess
import tomllib
from zipfile import ZipFile

import pytest

import django_dcache
from support import builds
from support.builds import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "drill" / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheels of django-dcache and of its drill."""
    return [build(tmp_path_factory.mktemp("wheel")) for build in (builds.main_wheel, builds.drill_wheel)]


def test_the_wheel_holds_the_package_and_nothing_more(wheels):
    """Every module of dcache_drill is in its wheel, and no other file."""
    source = CHECKOUT / "drill"
    modules = {str(file.relative_to(source)) for file in (source / "dcache_drill").rglob("*.py")}
    with ZipFile(wheels[1]) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == modules


def test_no_mistake_ships(wheels):
    """No wheel holds a module that plants mistakes: these live in tests/."""
    for wheel in wheels:
        with ZipFile(wheel) as archive:
            assert not [name for name in archive.namelist() if "mistake" in name or "seams" in name]


def test_versions_agree():
    """A drill has the version of the release of django-dcache that it was written for, and asks for just that one."""
    assert PROJECT["version"] == django_dcache.__version__
    assert PROJECT["dependencies"] == [f"django-dcache=={django_dcache.__version__}"]


def test_metadata(wheels):
    """The wheel ships the text of its licence."""
    with ZipFile(wheels[1]) as archive:
        (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert archive.read(licence) == (CHECKOUT / "LICENSE").read_bytes()


def test_the_command_appears_where_it_is_installed(wheels, tmp_path):
    """`dcache-admin drill` and `python -m dcache_drill` work beside django-dcache, away from a checkout."""
    programs = builds.installed(tmp_path / "venv", *wheels)
    help_ = ask(programs / "dcache-admin", "--help", folder=tmp_path)
    assert "\n  drill " in help_
    assert "Exits 1 if a promise was broken." in ask(programs / "dcache-admin", "drill", "--help", folder=tmp_path)
    assert "--plugin" in ask(programs / "python", "-m", "dcache_drill", "--help", folder=tmp_path)


def ask(*command, folder):
    run = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout
