"""Mistakes to be planted in a copy of the product: each breaks one rule, and a drill has to find it.

The seeds are those of docs/explanation/proof.md: what each mistake leads to, and how soon, is written there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import mutants
from .terms import WEIGHTS, Terms

CORE = "django_dcache."
HOT = {"zipf": 1.15}
IN_BULK = {"zipf": 0.5, "weights": {"get_many": 60, "delete_many": 8, "set_many": 10}}
"""Many keys at once: more than networks in trouble would let through one by one."""
ANY_NUMBER = "header(data, int(__import__('re').search(rb'O(\\d+)|$', data)[1] or 0))"
"""In place of `header(data, opaque)`: a reply to whatever command."""
WATCHED = {"zipf": 0.3, "weights": {"delete_many": 40, "set_many": 40}, "workers": 12, "observers": 2}
"""Most write many keys at once; two read, over no network."""
ROWS = {"weights": dict.fromkeys(WEIGHTS, 0) | {"load": 12, "get": 80, "commit": 2}}
SOON = {"freshness": 0.2, "timeout": 0.1, "calm": 0.3}
"""What is rare comes more often, and what is stale is seen before it is written anew."""


@dataclass(frozen=True)
class Tooth:
    rule: str
    """What is broken."""
    edits: Mapping[str, Sequence[tuple[str, str]]]
    faults: tuple[str, ...]
    """Under which it shows."""
    seed: int = 1
    terms: Mapping[str, Any] = field(default_factory=dict)
    """Other terms than the usual ones."""


TEETH = {
    "no-lease": Tooth(
        "a loader stores what it loaded, whatever was written meanwhile",
        {CORE + "flows.read": [("item.flags, item.ttl, token=token)]", "item.flags, item.ttl)]")]},
        ("slow",),
    ),
    "read-repair": Tooth(
        "a reader copies what it found to the replica that lacked it, under a lease",
        {
            CORE + "flows.read": [
                (
                    "    found.unanswered = len(silent - answered - found.keys())\n",
                    "    found.unanswered = len(silent - answered - found.keys())\n"
                    "    for name, value in list(found.items()):\n"
                    "        route, slot = view.place(name)\n"
                    "        for node in () if value.data is None or route.joining else route.read:\n"
                    "            ask = Get(name, view.generation(node, slot), lease=True)\n"
                    "            (had,) = (yield {node: [ask]})[node]\n"
                    "            if isinstance(had, Value) and had.won:\n"
                    "                generation = view.generation(node, slot)\n"
                    "                fill = Store(name, generation, value.data, value.flags, 0, token=had.token)\n"
                    "                yield {node: [fill]}\n",
                )
            ]
        },
        ("slow", "late", "late-commands"),
        terms={"replicas": 2},
    ),
    "flip-in-one-round": Tooth(
        "after the flip joining nodes are written in the same round in which leaving ones are purged",
        {
            CORE + "model.placement": [
                ("Round(staying, leaving), Round(joining), joining", "Round(new, leaving), Round(), joining")
            ]
        },
        ("straggling+rebalance",),
        terms=WATCHED,
    ),
    "no-settle": Tooth(
        "the last phase is left out: some still fill joining nodes from leaving ones that others purge no more",
        {
            CORE + "model.topology": [("self.phase is Phase.SETTLE and", "self.phase is Phase.FLIP and")],
            "dcache_manager.rebalance.conductor": [
                ("topology.step(Phase.SETTLE, self._fence)", "topology.step(Phase.STABLE, self._fence)"),
                ("retire=True, ", ""),
            ],
        },
        ("rebalance",),
        terms=SOON | {"zipf": 0.3, "weights": {"get_many": 60}, "workers": 6, "observers": 2},
    ),
    "narrow-bump": Tooth(
        "a write lost while keys move disowns the silent node only, not those that may be filled from it",
        {CORE + "flows.write": [("{(node, slot), *((other, slot) for other in joining)}", "{(node, slot)}")]},
        ("rebalance-while-cut-off",),
        terms=IN_BULK,
    ),
    "no-quarantine": Tooth(
        "a new generation is written at once, while others still read and write the old one",
        {CORE + "model.view": [("        if not self.bumps and not self.debts:\n", "        if True:\n")]},
        ("cut-anywhere", "resets", "garbage"),
        terms=IN_BULK | {"rate": 150.0, "drift": 0.3, "zipf": 1.0},
    ),
    "token-travels": Tooth(
        "a lease is used on another connection than the one it was given on, after a restart that counts leases anew",
        {CORE + "transport.sync": [("command.token.connection != serial:", "command.token.connection < 0:")]},
        ("restarts",),
        terms=SOON | ROWS | {"slow_loader": 16.0, "slow_loads": 0.1, "workers": 32},
    ),
    "no-bump": Tooth(
        "a write whose reply is lost disowns nothing",
        {
            CORE + "flows.consensus": [
                ("    lost = set(lost)\n", "    if True:\n        return True\n    lost = set(lost)\n")
            ]
        },
        ("late", "late-commands", "zombies", "flap"),
        terms=HOT,
    ),
    "new-owner-only": Tooth(
        "while keys move, only the joining nodes are told of a write",
        {
            CORE + "model.placement": [
                (
                    "joining), Round(old), Round(purge=joining), joining, old",
                    "joining), Round(new), Round(), joining, old",
                )
            ]
        },
        ("far+rebalance",),
        terms={"zipf": 0.7},
    ),
    "new-first": Tooth(
        "targets are written before their sources",
        {CORE + "flows.write": [("for second in (False, True):", "for second in (True, False):")]},
        ("straggling+rebalance",),
        terms=WATCHED,
    ),
    "unleased-mover": Tooth(
        "what is copied is stored whatever was written meanwhile",
        {CORE + "flows.fill": [("value.flags, ttl, token=token))", "value.flags, ttl))")]},
        ("operator-far+rebalance",),
        terms={"zipf": 0.3, "rate": 150.0},
    ),
    "topology-for-ever": Tooth(
        "every other process keeps the topology that it saw first",
        {
            CORE + "model.view": [
                (
                    "self.state.merge(news), self.clock()\n",
                    "self.state.merge(news), self.clock()\n"
                    "        if __import__('os').getpid() % 2 and self.epoch:\n"
                    "            state = replace(state, topology=self.state.topology)\n",
                )
            ]
        },
        ("rebalance",),
    ),
    "proof-for-ever": Tooth(
        "a process that has seen the fleet's state once never asks again",
        {
            CORE + "runtime.fleet": [
                ("step.proven_at + self.options.freshness / 2)", "float('inf'))"),
                ("return self.clock() - self.view.proven_at < self.options.freshness", "return True"),
            ]
        },
        ("late", "late-commands", "zombies", "flap"),
        terms=HOT,
    ),
    "interrupted-connection": Tooth(
        "a call that is broken off gives its connection back, and the next one takes its reply for its own",
        {
            CORE + "runtime.shortcut": [
                (
                    "        break\n    else:\n",
                    "        except BaseException:\n            pool.idle.append(connection)\n            raise\n"
                    "        break\n    else:\n",
                ),
                ("header(data, opaque)", ANY_NUMBER),
            ]
        },
        ("interrupts",),
    ),
    "short-read": Tooth(
        "a reply that ends early is a short value",
        {CORE + "runtime.shortcut": [('if data[stop:] == b"\\r\\n":', "if True:")]},
        ("cut-in-value", "cut-anywhere"),
    ),
    "unchecked-reply": Tooth(
        "whatever comes next is the reply",
        {
            CORE + "runtime.shortcut": [
                ("header(data, opaque)", ANY_NUMBER),
                ('if data[stop:] == b"\\r\\n":', "if True:"),
            ]
        },
        ("duplicates",),
    ),
    "stub-is-a-value": Tooth(
        "the place that a loader has reserved reads as an empty value",
        {
            CORE + "flows.read": [
                (
                    "            if isinstance(reply, Value) and not reply.stub:\n",
                    "            if isinstance(reply, Value):\n",
                )
            ]
        },
        ("slow",),
    ),
}


def terms(name: str, **others: Any) -> Terms:
    """A drill that shows the mistake."""
    tooth = TEETH[name]
    given = {"seed": tooth.seed, "faults": tooth.faults, "calm": 1.0, **tooth.terms, **others}
    return Terms(**given, bug=name)


def plant(name: str) -> None:
    """Import the product with this mistake from now on. Raises Misfit if its source has changed."""
    mutants.install(TEETH[name].edits)
