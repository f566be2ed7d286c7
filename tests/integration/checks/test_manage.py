"""`manage.py check` on broken CACHES, in a process of its own."""

import subprocess
import sys

import pytest

from support.checkout import CHECKOUT

SETTINGS = """
SECRET_KEY = "tests"
INSTALLED_APPS = {apps!r}
OURS = {{"BACKEND": "django_dcache.backend.DistributedCache"}}
CACHES = {{
    "default": OURS | {{"LOCATION": "10.0.0.1", "OPTIONS": {{"no_delay": True, "replica": 2}}}},
    "pages": OURS | {{"LOCATION": "http://10.0.0.2"}},
    "sessions": OURS | {{"LOCATION": ["8.8.8.8"], "OPTIONS": {{"timeout": 250}}}},
}}
"""


def check(folder, apps, *arguments, caches=""):
    """How `check` ends in a project with these apps, and what it says."""
    (folder / "checked.py").write_text(SETTINGS.format(apps=apps) + caches)
    command = [sys.executable, "-W", "ignore", "-m", "django", *(arguments or ("check",))]
    variables = {
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'manager'}:{folder}",
        "DJANGO_SETTINGS_MODULE": "checked",
        "DJANGO_COLORS": "nocolor",
    }
    run = subprocess.run(command, env=variables, capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize("apps", [["django_dcache"], ["dcache_manager"], ["django_dcache", "dcache_manager"], []])
def test_every_alias_is_named(tmp_path, apps):
    """What is wrong with every alias is said in one run, without a traceback, with or without an app of ours."""
    code, said = check(tmp_path, apps)
    assert code == 1 and "Traceback" not in said
    errors = said.partition("WARNINGS")[0]
    assert [errors.count(f"(dcache.{identity})") for identity in ("E001", "E002", "E004")] == [1, 1, 1]
    assert ("(dcache.W002)" in said) == bool(apps)


def test_warnings_can_be_silenced(tmp_path):
    """Other checks run beside ours, by --tag and --fail-level, and a warning that is silenced is not shown."""
    silent = 'CACHES = {"default": CACHES["sessions"]}\nSILENCED_SYSTEM_CHECKS = ["dcache.W002"]'
    command = ("check", "--tag", "caches", "--fail-level", "WARNING")
    assert check(tmp_path, ["django_dcache"], *command, caches=silent)[0] == 0
    code, said = check(tmp_path, ["django_dcache"], *command, "--deploy", caches=silent)
    assert code == 1 and "(dcache.W020)" in said and "W002" not in said


def test_an_alias_that_cannot_be_used(tmp_path):
    """An alias that can't be used fails where it is used, with what is wrong with it; the others work."""
    use = "from django.core.cache import caches; caches['sessions'].key_prefix; caches['default'].get('key')"
    code, said = check(tmp_path, ["django_dcache", "dcache_manager"], "shell", "-c", use)
    assert code == 1 and said.splitlines()[-1].endswith("OPTIONS has no 'no_delay'; remove it: the pool does that")
