"""`top`: rates of the nodes, and the keys that are asked for most, again and again."""

import sys
from collections.abc import Callable
from contextlib import nullcontext

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ...errors import NothingReachable
from ...formatting import count, printable, share, size
from ...inspection.activity import Activity, observe
from ...inspection.next_steps import next_steps
from ...inspection.target import Target
from ..exit_codes import Exit
from ..options import Choices
from ..output import Answer, Column, fitting, table, telling, write


def _number(value: float) -> str:
    return count(value) if value >= 10 else f"{value:.1f}"


node_columns = [
    Column("state", "STATE"),
    Column("name", "NAME"),
    Column("address", "ADDRESS", drop=4),
    Column("operations_rate", "OPS/S", _number, right=True),
    Column("reads_rate", "READS/S", _number, right=True),
    Column("hit_ratio", "HITS", share, right=True),
    Column("evictions_rate", "EVICTED/S", _number, right=True, drop=1),
    Column("items", "ITEMS", count, right=True, drop=3),
    Column("bytes", "USED", size, right=True, drop=2),
]
key_columns = [
    Column("key", "KEY"),
    Column("node", "NODE"),
    Column("rate", "TIMES/S", _number, right=True),
    Column("share", "OF ITS NODE", share, right=True),
]


def top(choices: Choices, target: Target, every: float, keys: int, once: bool) -> int:
    """Ends after one look with `once`, else by Ctrl-C. Exit 3 if a node did not answer."""
    if once:
        answer = _answer(choices, target, every, keys)
        _write(answer, choices)
        return Exit.PARTIAL if answer.errors else Exit.OK
    try:
        _repeat(choices, lambda: _answer(choices, target, every, keys))
    except KeyboardInterrupt:
        pass  # How it ends.
    return Exit.OK


def _repeat(choices: Choices, look: Callable[[], Answer]) -> None:
    terminal = sys.stdout.isatty() and not choices.json
    with Live(Text("Looking…"), auto_refresh=False) if terminal else nullcontext() as live:
        while True:
            try:
                answer = look()
            except NothingReachable as error:
                answer = Answer("top", [], [{"error": type(error).__name__, "message": str(error)}])
            if live:
                live.update(_screen(answer, live.console.width), refresh=True)
            else:
                _write(answer, choices)
                sys.stdout.flush()


def _answer(choices: Choices, target: Target, every: float, keys: int) -> Answer:
    seen = observe(target, every, choices.timeout, hot=keys > 0)
    rows = seen.rows()
    hot = seen.hot_keys(keys)
    answer = Answer.about(seen.after, "top", rows, _title(seen, rows))
    answer.next_steps = next_steps(seen.after)
    answer.more = {"seconds": round(seen.seconds, 3), "hot_keys": hot, "sample": True}
    answer.more |= {"not_told": seen.complaints(), "next": answer.next_steps}
    return answer


def _title(seen: Activity, rows: list[dict[str, object]]) -> str:
    operations = sum(rate for row in rows if isinstance(rate := row["operations_rate"], float))
    reads = [(row["reads_rate"], row["hit_ratio"]) for row in rows]
    known = [(rate, ratio) for rate, ratio in reads if isinstance(rate, float) and isinstance(ratio, float)]
    total = sum(rate for rate, _ in known)
    hits = f", {share(sum(rate * ratio for rate, ratio in known) / total)} hits" if total else ""
    return f"{seen.after.alias}: {_number(operations)} operations/s{hits}, in {seen.seconds:.1f} s"


def _write(answer: Answer, choices: Choices) -> None:
    write(answer, node_columns, choices)
    if choices.json:
        return
    keys = answer.more["hot_keys"]
    if keys:
        write(Answer("top", keys, title="Asked for most, by a sample:"), key_columns, choices)
    for line in _remarks(answer):
        choices.note(line)


def _remarks(answer: Answer) -> list[str]:
    return [f"{name} does not tell its hot keys: {why}." for name, why in answer.more.get("not_told", {}).items()]


def _screen(answer: Answer, width: int) -> RenderableType:
    parts: list[RenderableType] = [Text(printable(answer.title), "bold")]
    for items, columns in ((answer.items, node_columns), (answer.more.get("hot_keys", []), key_columns)):
        if items:
            parts += [table(items, fitting(items, telling(items, columns), width)), Text()]
    parts += map(Text, map(printable, [*answer.next_steps, *_remarks(answer)]))
    parts += [Text(printable(error["message"]), "red") for error in answer.errors]
    return Group(*parts)
