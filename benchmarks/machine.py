"""What the figures were taken on: enough to compare two runs, and no more than that about the machine."""

import os
import platform
import re
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import django

from .install import versions


def describe(packages: list[str]) -> dict[str, Any]:
    """Date, versions and the class of the machine."""
    return {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {'virtual machine' if _virtual() else 'own hardware'}",
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "django": django.get_version(),
        "memcached": _first_number("memcached", "-V"),
        "redis": _first_number("redis-server", "--version"),
        "packages": versions(["django-dcache", *packages]),
    }


def _virtual() -> bool:
    try:
        return "hypervisor" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _first_number(*command: str) -> str:
    try:
        output = subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return "absent"
    found = re.search(r"\d+(\.\d+)+", output)
    return found[0] if found else "unknown"
