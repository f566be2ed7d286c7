"""Where hosts are found whose names no real name server knows: a file that each process reads when it connects."""

import json
from pathlib import Path


class HostNames:
    """An `address_remap`: `HostNames(file)("cache-0.cache.test:11211")` is what the file says of it by now."""

    def __init__(self, file: Path):
        self._file = file

    def __call__(self, address: str) -> str:
        return str(json.loads(self._file.read_text()).get(address, address))

    def write(self, hosts: dict[str, str]) -> None:
        """In one step: no process reads half of it."""
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(hosts))
        written.replace(self._file)
