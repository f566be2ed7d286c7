"""The command line of `benchmarks/run`."""

import argparse
import os
import signal
import sys
from pathlib import Path

os.environ["DCACHE_SPEED"] = "0"  # django-dcache is measured without its extra, and with it only as benchmarks.speed

from django.conf import settings

from . import distinct, install, machine, report, scenarios
from .acceptance import acceptance
from .asynchronous import asynchronous
from .backends import PEERS, ours
from .mover import mover
from .round_trips import near, prefetch
from .scale import scale
from .servers import go_first, pin
from .site import site
from .snapshot import snapshot
from .table import Table
from .threads import threads

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
SCENARIOS: dict[str, scenarios.Scenario] = {
    "acceptance": acceptance,
    "table": scenarios.standard,
    "distinct": scenarios.distinct_keys,
    "redis": scenarios.redis,
    "nodes": scenarios.nodes,
    "replicas": scenarios.replicas,
    "keys": scenarios.keys,
    "sizes": scenarios.sizes,
    "threads": threads,
    "async": asynchronous,
    "page": site,
    "prefetch": prefetch,
    "near": near,
    "mover": mover,
    "snapshot": snapshot,
    "scale": scale,
}


def main() -> None:
    options = parse(sys.argv[1:])
    settings.configure(CACHES={}, SECRET_KEY="benchmarks")
    rivals = [*PEERS, ours(speed=True)]
    skipped = install.available(rivals)
    if options.first:
        go_first()
    pinned = pin()
    packages = [package for peer in rivals if peer.name not in skipped for package in peer.packages]
    about = {**machine.describe(packages), "pinned": pinned}
    terms = scenarios.Terms(options.samples, frozenset(skipped), options.keys)
    tables: list[Table] = []
    for name in options.scenarios:
        print(f"measuring {name}", file=sys.stderr)
        tables += SCENARIOS[name](terms)
    if options.page:
        PAGE.write_text(report.as_markdown(about, skipped, tables) + "\n")
    else:
        print(options.format(about, skipped, tables))


def parse(arguments: list[str]) -> argparse.Namespace:
    lines = [f"  {name:11} {function.__doc__}" for name, function in SCENARIOS.items()]
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measure the cache beside every other one for Django.",
        epilog="scenarios:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: acceptance; `all` for every one")
    parser.add_argument("--samples", type=int, default=200, help="samples of each cell, of which the least counts")
    parser.add_argument("--keys", type=int, default=distinct.KEYS, help="how many distinct keys there are")
    parser.add_argument("--first", action="store_true", help="go ahead of a busy machine's other processes (root only)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="format", action="store_const", const=report.as_json)
    form.add_argument("--markdown", dest="format", action="store_const", const=report.as_markdown)
    form.add_argument("--page", action="store_true", help=f"write {PAGE.name} of the documentation, of every scenario")
    parser.set_defaults(format=report.as_text)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.scenarios if name not in (*SCENARIOS, "all")]:
        parser.error(f"unknown scenario {unknown[0]!r}; choose from {', '.join(SCENARIOS)}, all")
    chosen = options.scenarios or (["all"] if options.page else ["acceptance"])
    # The acceptance measures what these three do.
    every = [name for name in SCENARIOS if name not in ("table", "distinct", "page")]
    options.scenarios = every if "all" in chosen else chosen
    return options


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is stopped
    main()
