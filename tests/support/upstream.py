"""Django's own cache and session tests on a fleet that fails while they run.

    python tests/support/upstream.py RUN WORKDIR [--fault none|killed|frozen|flapping] [--node N] [--replicas R]
        [--engine memcached|redis]

RUN is the script that runs them on given nodes (DCACHE_NODES, DCACHE_OPTIONS); its exit code is this program's.
"""

import argparse
import json
import os
import subprocess
import sys
import threading

from django_dcache.testing import LocalFleet

EVERY = 2.0
"""Seconds between two deaths of a flapping node."""


def flap(node, over):
    """Kill the node and start it again, empty, until `over` is set."""
    while not over.wait(EVERY):
        node.restart()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("workdir")
    parser.add_argument("--fault", choices=["none", "killed", "frozen", "flapping"], default="none")
    parser.add_argument("--node", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--engine", choices=["memcached", "redis"], default="memcached")
    choices = parser.parse_args()
    over = threading.Event()
    with LocalFleet(3, choices.engine) as fleet:
        node = fleet.nodes[choices.node]
        if choices.fault == "killed":
            node.kill()
        elif choices.fault == "frozen":
            node.freeze()
        elif choices.fault == "flapping":
            threading.Thread(target=flap, args=(node, over), daemon=True).start()
        environment = os.environ | {
            "PYTHON": sys.executable,
            "DCACHE_NODES": ",".join(fleet.addresses),
            "DCACHE_OPTIONS": json.dumps({"replicas": choices.replicas}),
        }
        code = subprocess.run([choices.run, choices.workdir], env=environment).returncode
        over.set()
        if choices.fault == "frozen":
            node.thaw()
    sys.exit(code)


if __name__ == "__main__":
    main()
