"""django-dcache with its compiled extra, in a process that left it out: a second copy of django_dcache."""

import importlib
import os
import sys


def _imported() -> dict[str, object]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "django_dcache"}


_first = _imported()
for _name in _first:
    del sys.modules[_name]
_switch = os.environ.pop("DCACHE_SPEED", "")
try:
    DistributedCache = importlib.import_module("django_dcache.backend").DistributedCache
    if importlib.import_module("django_dcache.runtime.speed").compiled is None:
        raise SystemExit("django-dcache-speed is installed, and of no use")
finally:
    os.environ["DCACHE_SPEED"] = _switch
    for _name in _imported():
        del sys.modules[_name]
    sys.modules |= _first  # type: ignore[arg-type, unused-ignore]
