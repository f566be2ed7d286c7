"""A site on three nodes whose keys are dumped, and loaded again."""

import time
from dataclasses import replace

from dcache_manager.jobs.progress import Progress
from dcache_manager.snapshot.dump import Dump
from dcache_manager.snapshot.file import Reader, Writer
from dcache_manager.snapshot.format import Header
from dcache_manager.snapshot.load import Load, NoLog
from dcache_manager.snapshot.resume_point import ResumePoint
from dcache_manager.throttle import Throttle
from django_dcache.conf import parse
from django_dcache.flows import Item as Value
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.runtime.fleet import Fleet

NAMES = [keys.name(f":1:key-{number}") for number in range(3000)] + [keys.name("long" * 62)]
OPTIONS = {"freshness": 2.0, "timeout": 4.0, "connect_timeout": 4.0}


class Site:
    """A fleet as one process sees it, with snapshots of it in a folder."""

    def __init__(self, nodes, folder, **options):
        self.nodes, self._folder = nodes, folder
        self._options = OPTIONS | options
        self.fleet = self._open()

    def _open(self):
        return Fleet(parse("default", self.nodes.addresses, self._options))

    def another_process(self):
        self.fleet.close()
        self.fleet = self._open()

    def store(self, names=NAMES, data=b"value", flags=0, ttl=0):
        for start in range(0, len(names), 250):
            found = self.fleet.run(write, dict.fromkeys(names[start : start + 250], Value(flags, data, ttl)))
            assert all(outcome.successful for outcome in found.values())

    def dump(self, prefix=b""):
        header = Header(self.fleet.configuration.fleet, "default", time.time())
        with Writer(self._folder / "snapshot", header) as writer:
            return Dump(self.fleet, writer, self._pace(), Progress("", ""), lambda: None, prefix).run()

    def load(self, log=NoLog(), tick=lambda: None, sleep=time.sleep, fresh=True, often=1.0):
        """What became of it. `fresh`: not where an earlier load left off."""
        with (self._folder / "snapshot").open("rb") as file:
            reader = Reader(file)
            contents = reader.verify()
            mark = ResumePoint(self._folder / "mark") if fresh else ResumePoint.of("default", contents.digest)
            load = Load(self.fleet, reader, mark, self._pace(), Progress("", ""), tick, log, sleep, often)
            loaded = load.run()
        counts = replace(loaded, failures={}, bytes=0, resumed=0)
        assert sum(getattr(counts, name) for name in counts.__slots__[:1] + counts.__slots__[2:7]) == contents.items
        return loaded

    def empty(self):
        """Every node is restarted."""
        for node in self.nodes.nodes:
            node.restart()
        self.fleet.close()

    def items(self):
        """What each node holds, but for the fleet's own: {address: {wire key: (flags, data)}}"""
        return {node.address: dict(_items(node)) for node in self.nodes.nodes}

    def ttls(self, name):
        """Seconds left of each copy."""
        found = [node.ask(b"mg %b t\r\n" % name).split() for node in self.nodes.nodes]
        return [int(words[1][1:]) for words in found if words[0] == b"HD"]

    def _pace(self):
        return Throttle(None, 0.08, self.fleet.clock, time.sleep)


def _items(node):
    names = [key for key in node.items() if not key.startswith(b"_dc:")]
    said = node.ask(b"".join(b"mg %b v f\r\n" % key for key in names))
    for key in names:
        head, _, said = said.partition(b"\r\n")
        if head.startswith(b"VA"):
            _, size, flags = head.split()
            yield key, (flags, said[: int(size)])
            said = said[int(size) + 2 :]


def read(site, names=NAMES):
    found = [site.fleet.run(fetch, names[start : start + 250]) for start in range(0, len(names), 250)]
    return {name: value for part in found for name, value in part.items()}
