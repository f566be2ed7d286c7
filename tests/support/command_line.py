"""dcache-admin as its users meet it: a process with a command line, two streams and an exit code."""

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

from support.checkout import CHECKOUT

SETTINGS = """
print("a project that prints")
SECRET_KEY = "tests"
INSTALLED_APPS = ["dcache_manager"]
CACHES = {{
    "default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    "fleet": {{
        "BACKEND": "django_dcache.backend.DistributedCache",
        "LOCATION": {location!r},
        "KEY_PREFIX": "shop",
        "VERSION": 2,
        # Short waits between phases: nothing here is about how long they are.
        "OPTIONS": {{"freshness": 0.05, "timeout": 0.2, "fleet": "fleet"}},
    }},
}}
"""


class Console:
    """A folder with a Django project in it, or none, in which commands are run."""

    def __init__(self, folder, location=None, python=sys.executable):
        self.folder, self._interpreter = folder, python
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DCACHE_", "DJANGO"))
        }
        self.environment |= {
            "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'manager'}",
            "PYTHONWARNINGS": "error::UserWarning",
            "DCACHE_RUNTIME_DIR": str(folder / "run"),
            "XDG_STATE_HOME": str(folder / "state"),
            # A second is nothing to a machine that is busy with other things.
            "DCACHE_TIMEOUT": "20",
        }
        if location:
            (folder / "project.py").write_text(SETTINGS.format(location=location))
            self.environment["DJANGO_SETTINGS_MODULE"] = "project"

    def start(self, *arguments, **environment):
        """A command that is running; its stderr can be read line by line."""
        return subprocess.Popen(
            [self._interpreter, "-m", "dcache_manager", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, code=0, **environment):
        """What a command says on stdout; it must end with `code`."""
        return self.streams(*arguments, code=code, **environment)[0]

    def streams(self, *arguments, code=0, **environment):
        """(stdout, stderr)"""
        with self.start(*arguments, **environment) as process:
            stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == code, f"{arguments} ended with {process.returncode}: {stdout}{stderr}"
        return stdout, stderr

    def ask(self, *arguments, code=0, **environment):
        """The object that a command answers with."""
        return json.loads(self.run(*arguments, "--json", code=code, **environment))

    def converse(self, *arguments, until, answer, columns=120):
        """(what a command shows on a terminal, its exit code); `answer` is typed once it has said `until`."""
        screen, terminal = pty.openpty()
        with subprocess.Popen(
            [self._interpreter, "-m", "dcache_manager", *arguments],
            cwd=self.folder,
            env=self.environment | {"TERM": "xterm", "COLUMNS": str(columns)},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        ) as process:
            os.close(terminal)
            said = b""
            # At the end of a terminal Linux raises an error.
            with open(screen, "r+b", buffering=0) as keyboard, suppress(OSError):
                while chunk := keyboard.read(65536):
                    said += chunk
                    if answer and until.encode() in said:
                        keyboard.write(f"{answer}\n".encode())
                        answer = None
        return said.decode(), process.returncode

    def python(self, source, code=0):
        """What a Python program prints."""
        command = [sys.executable, "-c", source]
        run = subprocess.run(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True)
        assert run.returncode == code
        return run.stdout.removeprefix("a project that prints\n")

    def program(self, source):
        """A Python program that is running; its stdout can be read line by line."""
        command = [sys.executable, "-c", source]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True)

    def cache(self, source):
        """What a program of the project's prints that uses its cache."""
        return self.python(
            f"import django; django.setup()\nfrom django.core.cache import caches\ncache = caches['fleet']\n{source}"
        )


def read_until(process, word):
    """The first line on stderr with `word` in it: the process has come so far."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if word in line:
            return line
    raise AssertionError(f"{word!r} never came: {seen}")


def interrupt(process):
    """Ctrl-C; the exit code, once it has ended."""
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    return process.returncode
