"""What may be imported, and from where."""

import subprocess
import sys

from support.checkout import CHECKOUT

IMPORT_ALL = """
import importlib, pkgutil, sys
import django

sys.modules.update(dict.fromkeys(["celery", "click", "kombu", "rich", "dcache_manager"]))  # None: an import raises
django.setup()
import django_dcache
for module in pkgutil.walk_packages(django_dcache.__path__, "django_dcache."):
    importlib.import_module(module.name)
"""
SETTINGS = """
INSTALLED_APPS = ["django_dcache"]
CACHES = {"default": {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": "127.0.0.1:9"}}
"""


def test_the_cache_needs_no_manager(tmp_path):
    """Every module of `django_dcache` can be imported where Celery, Click, Rich and the manager are missing."""
    (tmp_path / "cache_only.py").write_text(SETTINGS)
    environment = {"PYTHONPATH": f"{CHECKOUT}:{tmp_path}", "DJANGO_SETTINGS_MODULE": "cache_only"}
    run = subprocess.run([sys.executable, "-c", IMPORT_ALL], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_manager_is_a_place():
    """The folder `manager/` is no package: a top-level `manager` is a name that users' own apps have."""
    assert not (CHECKOUT / "manager" / "__init__.py").exists()


def test_the_package_is_light():
    """Settings may import `django_dcache`: that imports nothing of Django, and what needs it comes when asked for."""
    look = "import sys, django_dcache; sys.exit('django' in sys.modules or not django_dcache.__version__)"
    assert subprocess.run([sys.executable, "-c", look], env={"PYTHONPATH": str(CHECKOUT)}).returncode == 0
