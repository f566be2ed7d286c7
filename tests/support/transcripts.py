"""Console sessions in the documentation, run for real: every command, and what it is said to print."""

import os
import re
import subprocess
import sys

from support.checkout import CHECKOUT

NUMBER = re.compile(r"[+-]?\d[\d.,:]*(%| [KMG]?i?B\b|s\b)?")
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
MARK = "end of what it printed:"
NOT_HERE = ("pip install", "python3 -m venv")
"""Commands that fetch things; everything they would install is installed."""


def blocks(page, language):
    """The fenced blocks of a language in a page of the documentation."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (CHECKOUT / page).read_text(), re.MULTILINE | re.DOTALL)


def steps(page):
    """[(command, what it prints)] of a page, in order; what is to be added to a file is a command too."""
    text = (CHECKOUT / page).read_text()
    added = re.compile(r"^Add this to `(\S+)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    text = added.sub(r"```console\n$ cat >> \1 << 'EOF'\n\2EOF\n```", text)
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((part, "") if " << 'EOF'" in command else (command, printed))
    return found


class Shell:
    """One shell for a whole page, in `folder`: it remembers where it is and what was exported."""

    def __init__(self, folder, environment):
        programs = folder / "bin"
        programs.mkdir()
        for name, module in {"dcache-admin": "-m dcache_manager", "django-admin": "-m django", "python": ""}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
            (programs / name).chmod(0o755)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("DCACHE_", "DJANGO_"))}
        self._addresses = {}
        self._folder = folder
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env={
                **clean,
                "PATH": f"{programs}:{clean['PATH']}",
                "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'manager'}",
                "DCACHE_RUNTIME_DIR": str(folder / "run"),
                "XDG_STATE_HOME": str(folder / "state"),
                "DCACHE_TIMEOUT": "20",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._shell.stdin.close()
        self._shell.stdout.close()
        self._shell.wait()

    def follow(self, page):
        """Run every command of a page, in order, and compare."""
        for command, printed in steps(page):
            if not command.startswith(NOT_HERE):
                self.check(command, printed)

    def check(self, command, printed):
        if printed.startswith(">>> "):
            command, printed = self._as_doctest(printed), ""
        # The page has the addresses of the day it was written.
        said, status = self.run(ADDRESS.sub(lambda found: self._addresses.get(found[0], found[0]), command))
        assert status == 0, f"$ {command}\n{said}"
        if "…" not in printed:
            self._addresses.update(zip(ADDRESS.findall(printed), ADDRESS.findall(said), strict=False))
        lines = [shape(line) for line in said.splitlines()]
        for line in printed.splitlines():
            assert line == "…" or shape(line) in lines, f"$ {command}\nthe page says: {line}\nit says:\n{said}"

    def run(self, command):
        """(everything it printed, its exit status)"""
        self._shell.stdin.write(f"{command}\necho {MARK} $?\n")
        self._shell.stdin.flush()
        said = []
        for line in self._shell.stdout:
            before, mark, status = line.partition(MARK)
            said.append(before)
            if mark:
                return "".join(said), int(status)
        raise AssertionError(f"the shell ended: {''.join(said)}")

    def _as_doctest(self, session):
        session = session.replace(">>> exit()\n", "")
        (self._folder / "session.txt").write_text(session)
        return f"python -m doctest {self._folder / 'session.txt'}"


def shape(line):
    """A line without what differs from day to day: figures, and the room they take."""
    return re.sub(r"[\s–]+", " ", NUMBER.sub("#", line)).strip()
