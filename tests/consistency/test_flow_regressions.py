"""What the simulation found in the flows and the view, each as the smallest case that shows it."""

import pytest

from django_dcache.commands import Answer, Get, Token, Value
from django_dcache.errors import NodeTimeout, NoReplica, NotServed
from django_dcache.flows import Item, Learn, Owe
from django_dcache.flows.add import add
from django_dcache.flows.consensus import agree
from django_dcache.flows.count import count
from django_dcache.flows.load import fetch_or_load
from django_dcache.flows.write import write
from django_dcache.model.keys import position
from django_dcache.model.state import FleetState
from django_dcache.model.view import Standing
from support.simulation.cases import CASES
from support.simulation.orders import topology_at
from support.simulation.process import HOLD, Process

SILENT = NodeTimeout()


class Clock:
    """Stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    """A clock that only tests move."""
    return Clock()


def view_of(clock, case="stable1", stage=0):
    """A process that has just proven the state at this stage."""
    topology = topology_at(case, stage)
    return Process("p", topology, clock).view.learn(FleetState(topology), clock())


def carried(flow, view, answer):
    """What `flow` returns or fails with, and the view with what it learned; `answer(node, command)` is each reply."""
    reply = None
    while True:
        try:
            step = flow.send(reply)
        except StopIteration as stop:
            return stop.value, view
        except NoReplica as failure:
            return failure, view
        reply = None
        if isinstance(step, Learn):
            view = view.learn(step.state, step.proven_at, step.held)
        elif isinstance(step, Owe):
            view = view.owing(step.wanted)
        elif isinstance(step, dict):
            reply = {node: [answer(node, command) for command in batch] for node, batch in step.items()}


def test_bump_that_one_keeper_was_told(clock):
    """A bump read from one keeper opens no slot, however long ago, until a majority is known to hold it."""
    view = view_of(clock)
    bumped = view.state.bumped({("A", 7): 1})

    def answer(node, command):
        if type(command) is not Get:
            return SILENT  # It can't be passed on.
        document = bumped if node == "A" else view.state
        return SILENT if node == "C" else Value(document.encode(), token=Token(1, 1))

    agreement, after = carried(agree(view, lambda state: state), view, answer)
    assert not agreement.majority and after.generation("A", 7) == 1
    clock.now += 10 * HOLD
    assert after.standing("A", 7) is Standing.OWED
    after = after.learn(after.state, clock())
    clock.now += HOLD
    assert after.standing("A", 7) is Standing.OPEN


def test_debt_that_one_keeper_was_told(clock):
    """A debt is not paid by a majority having been read, only by a majority holding it."""
    view = view_of(clock).owing({("A", 7): 1})
    told_one = view.state.bumped({("A", 7): 1})
    assert view.learn(told_one, clock(), held=False).standing("A", 7) is Standing.OWED
    assert view.learn(told_one, clock(), held=True).standing("A", 7) is not Standing.OWED


def test_first_bump_of_a_node(clock):
    """The first bump on a node closes that slot; in the others there is something to delete."""
    view = view_of(clock)
    view = view.learn(view.state.bumped({("A", 7): 1}))
    assert view.standing("A", 8) is Standing.OPEN


def test_counting_beside_a_debt(clock):
    """Nothing is counted while others may read an old number that this process could not disown."""
    view = view_of(clock, "move", 2)
    name = CASES["move"].names(1)[0]
    route, slot = view.place(name)
    view = view.owing({(route.joining[0], slot): 1})
    number, _ = carried(count(view, name, 1), view, lambda node, command: pytest.fail("asked a node"))
    assert isinstance(number, NoReplica)


def test_adding_when_the_decider_and_the_keepers_are_silent(clock):
    """An add whose first replica fell silent is not decided by the second unless the first is out of reach."""
    view = view_of(clock, "stable2")
    name = CASES["stable2"].names(1)[0]
    decider = view.place(name).route.first.write[0]

    def answer(node, command):
        if command.name != name or node == decider:
            return SILENT
        return Answer.MISS if type(command) is Get else Answer.DONE

    added, after = carried(add(view, name, Item(0, b"1")), view, answer)
    assert isinstance(added, NoReplica)
    assert after.standing(decider, position(name).slot) is Standing.OWED


def test_write_while_its_process_learns_that_the_resize_is_over(clock):
    """A purge that finds its node gone from the fleet bumps nothing: a resize without faults loses no slot."""
    view = view_of(clock, "drain", 4)
    name = CASES["drain"].names(1)[0]
    gone = view.place(name).route.first.purge

    def answer(node, command):
        assert command.name == name
        return NotServed() if node in gone else Answer.DONE

    outcomes, _ = carried(write(view, {name: Item(0, b"1")}), view, answer)
    assert outcomes[name].successful


def test_delete_by_a_process_that_slept_through_a_resize(clock):
    """What was sent too late, under an epoch long gone, is not acknowledged: the key lives on other nodes by now."""
    view = view_of(clock, "move")
    name = CASES["move"].names(1)[0]
    now = FleetState(topology_at("move", 5))

    def answer(node, command):
        if command.name == name:
            return SILENT
        return Value(now.encode(), token=Token(1, 1)) if type(command) is Get else Answer.DONE

    outcomes, _ = carried(write(view, {name: None}), view, answer)
    assert not outcomes[name].acknowledged


def test_loader_that_is_abandoned(clock):
    """A get_or_set whose caller goes away while it loads ends without a word."""
    view = view_of(clock)
    flow = fetch_or_load(view, b"k", lambda: None)
    flow.send(None)
    node = view.place(b"k").route.read[0]
    flow.send({node: [Answer.MISS]})
    flow.send({node: [Value(b"", token=Token(1, 1), won=True, stub=True)]})
    flow.close()
