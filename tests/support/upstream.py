"""Django's own cache and session tests: on a fleet that fails while they run, over TLS, with other options.

    python tests/support/upstream.py RUN WORKDIR [--fault none|killed|frozen|flapping|returned] [--node N]
        [--replicas R] [--nodes N] [--engine memcached|redis|valkey|ignite] [--secured] [--options JSON]

RUN is the script that runs them on given nodes (DCACHE_NODES, DCACHE_OPTIONS, DCACHE_BACKEND); its exit code is this
program's. With --secured the nodes speak TLS and want a login.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from certificates import Authority
from tls_cache import AUTHORITY, TlsCache

from django_dcache.testing import LocalFleet, LocalRedis

EVERY = 2.0
"""Seconds between two deaths of a flapping node."""
OPTIONS = {"clear_nodes": True}
"""The nodes are the suite's own. With the default each `clear()` that comes upon keys of an alias that only other tests
have takes 1.5 seconds (docs/adr/0031), a hundred in all."""
LOGIN = {"username": "tests", "password": "not-a-secret"}


def flap(node, over):
    """Kill the node and start it again, empty, until `over` is set."""
    while not over.wait(EVERY):
        node.restart()


def bring_back(node, over):
    """Save what the node has, then kill it and start it with just that, again and again, until `over` is set."""
    over.wait(EVERY)
    node.ask(b"SAVE\r\n")
    flap(node, over)


def main():
    choices = parse()
    over = threading.Event()
    with ExitStack() as stack:
        if choices.secured:
            nodes, options, variables = secured(stack)
        else:
            nodes, options, variables = stack.enter_context(LocalFleet(choices.nodes, choices.engine)).nodes, {}, {}
            if choices.fault == "returned":
                place = stack.enter_context(TemporaryDirectory())
                nodes[choices.node] = stack.enter_context(LocalRedis(extra=("--dir", place)))
        node = nodes[choices.node]
        if choices.fault == "killed":
            node.kill()
        elif choices.fault == "frozen":
            node.freeze()
        elif choices.fault == "flapping":
            threading.Thread(target=flap, args=(node, over), daemon=True).start()
        elif choices.fault == "returned":
            threading.Thread(target=bring_back, args=(node, over), daemon=True).start()
        environment = os.environ | {
            "PYTHON": sys.executable,
            "DCACHE_NODES": ",".join(node.address for node in nodes),
            "DCACHE_OPTIONS": json.dumps(OPTIONS | {"replicas": choices.replicas} | options | choices.options),
            **variables,
        }
        code = subprocess.run([choices.run, choices.workdir], env=environment).returncode
        over.set()
        if choices.fault == "frozen":
            node.thaw()
    sys.exit(code)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("workdir")
    parser.add_argument("--fault", choices=["none", "killed", "frozen", "flapping", "returned"], default="none")
    parser.add_argument("--node", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--engine", choices=["memcached", "redis", "valkey", "ignite"], default="memcached")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--secured", action="store_true")
    parser.add_argument("--options", type=json.loads, default={})
    return parser.parse_args()


def secured(stack):
    """Three nodes with TLS and logins; what OPTIONS needs for them, and the environment."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    logins = folder / "logins"
    logins.write_text("{username}:{password}\n".format(**LOGIN))
    authority = Authority(folder)
    certified = authority.sign("node")
    nodes = [stack.enter_context(authority.node(*certified, "-Y", str(logins))) for _ in range(3)]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {
        "DCACHE_BACKEND": f"{TlsCache.__module__}.{TlsCache.__qualname__}",
        "PYTHONPATH": os.pathsep.join(paths),
        AUTHORITY: authority.certificate,
    }
    return nodes, LOGIN, variables


if __name__ == "__main__":
    main()
