"""Taking nodes out and back: who accuses, who refutes, when it is decided, and what a node that is back may hold."""

from dataclasses import replace

import pytest

from django_dcache.errors import NodeTimeout
from django_dcache.flows.healing import Rules, Watch, heal
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.state import FleetState, Note, note_slot
from django_dcache.model.topology import Phase, server_of
from django_dcache.model.view import STAND_IN, Standing
from support.played_flows import HOLD, Keepers, Play, name_for, topology, view_of

RULES = Rules(seconds=2.0, quiet=5.0, lazily=20.0)
DECIDED = HOLD + 0.25
ACCUSED = FleetState(topology("abc")).bumped({note_slot("a", Note.ACCUSED): 1})


class Party:
    """One process among keepers; `silent` nodes answer nobody."""

    def __init__(self, state=None, silent="a", replicas=1):
        self.view = view_of(state or FleetState(topology("abc", replicas=replicas)), freshness=1.0)
        self.keepers, self.watch = Keepers(self.view, silent=silent), Watch()

    def look(self, seconds=0.0, **silent):
        """A look `seconds` later, by a process to which nodes are `silent` for so long."""
        self.view.clock.advance(seconds)
        view = replace(self.view, proven_at=self.view.clock.now)
        play = Play(heal(view, self.watch, RULES, silent), keepers=self.keepers)
        for step in play.learned:
            self.view = self.view.learn(step.state, step.proven_at, step.held)
        for nodes in play.shunned:
            self.view = self.view.shunning(nodes)
        return self

    @property
    def out(self):
        return self.view.state.topology.layouts[-1].out

    def without(self, node):
        """As if it had been taken out."""
        topology = self.view.state.topology
        out = topology.served_by(topology.layout.without(node))
        self.view = replace(self.view, state=replace(self.view.state, topology=out))
        return self

    def stay_in_use(self):
        """The nodes that are not taken out, though this process may not reach them."""
        return self.watch.stay_in_use(self.view, RULES)

    def take_out(self):
        """As if nothing answered for long."""
        self.look(a=1).look(DECIDED, a=1 + DECIDED)
        assert self.out == {"a"}
        return self


def test_a_quiet_fleet():
    """Where every node answers nobody is asked for anything."""
    party = Party(silent="")
    assert not party.look().keepers.asked


def test_a_process_that_alone_is_cut_off():
    """One whose accusation was refuted knows that others reach the node; not once it is out."""
    party = Party().look(a=1)
    assert not party.stay_in_use()
    refuted = party.view.state.bumped({note_slot("a", Note.REFUTED): 1})
    party.view = replace(party.view, state=refuted)
    assert party.stay_in_use() == {"a"}
    assert "a" not in party.without("a").stay_in_use()


def test_one_more_would_be_too_many():
    """Where as many nodes are out as may be, no accusation will tell when another one is back."""
    assert not Party().stay_in_use()
    assert Party().without("a").stay_in_use() == {"b", "c"}


@pytest.mark.parametrize(("seconds", "accused"), [(0.2, 0), (0.25, 1)])
def test_an_accusation(seconds, accused):
    """A node that has not answered for an eighth of the time is accused, once, and stays in service."""
    party = Party().look(a=seconds).look(a=seconds)
    assert party.keepers.state("b").note("a", Note.ACCUSED) == accused
    assert not party.out


def test_a_node_that_answers_others():
    """A process that reaches an accused node says so, and nothing happens to it."""
    party = Party(ACCUSED, silent="").look()
    assert party.keepers.state("a").note("a", Note.REFUTED) == 1
    assert not party.look(1000).out and not party.view.shunned


def test_one_that_accuses_again_and_again():
    """A process whose accusations are refuted makes ever fewer of them."""
    party, made = Party(), 0
    for _ in range(600):
        party.look(1.0, a=1000)
        number = party.view.state.note("a", Note.ACCUSED)
        made = max(made, number)
        refuted = party.view.state.bumped({note_slot("a", Note.REFUTED): number})
        for keeper in "bc":
            party.keepers.put(keeper, refuted.encode())
        party.view = party.view.learn(refuted)
    assert 5 <= made <= 10 and not party.out


def test_an_accusation_that_nobody_refutes():
    """It is decided when every process must have learned of it and acted; until then the node is left alone."""
    party = Party().look(a=1)
    party.look(DECIDED - 0.001, a=3)
    assert not party.out and party.view.shunned == {"a"}
    assert party.view.standing("a", 7) is Standing.OWED
    party.look(0.001, a=3)
    assert party.out == {"a"} and not party.view.shunned
    assert party.keepers.state("b").topology.layout.out == {"a"}


def test_who_is_asked():
    """A process asks an accused node when it learns of the accusation, and before it takes the node out; in between
    only when it would ask that node anything. While a conductor moves keys it does neither."""
    party = Party(ACCUSED)
    assert party.watch.to_be_asked(party.view, RULES) == ["a"]
    assert not party.look().watch.to_be_asked(party.view, RULES)
    party.view.clock.advance(DECIDED)
    assert party.watch.to_be_asked(party.view, RULES) == ["a"]
    assert not party.watch.to_be_asked(party.view, replace(RULES, part=0.0))
    led = replace(ACCUSED, topology=replace(topology("abc", "ab", Phase.COPY), fence=7))
    assert not Watch().to_be_asked(view_of(led), RULES)


def test_what_a_node_leaves_alone():
    """With other copies of each key an accused node is not shunned: writes bump its slots as ever."""
    party = Party(replicas=2).look(a=1).look(1.0, a=2)
    assert not party.view.shunned
    assert party.look(1.0, a=3).out == {"a"}


def test_one_that_heard_of_it_late():
    """A process counts the time from when it knew that a majority holds the accusation."""
    party = Party(ACCUSED).look(1000)
    assert not party.look(DECIDED - 0.001).out
    assert party.look(0.001).out == {"a"}


def test_never():
    """With `eject_after` = 0 a process accuses of nothing and decides nothing; it answers others."""
    party = Party(ACCUSED)
    for _ in range(3):
        Play(heal(party.view, party.watch, Rules(), {"a": 1000, "b": 1000}), keepers=party.keepers)
        party.view.clock.advance(100)
    assert not party.keepers.state("b").topology.layout.out and not party.keepers.state("b").note("b", Note.ACCUSED)


def test_never_too_many():
    """No more than a part of the nodes is taken out, however many are silent."""
    party = Party().take_out()
    party.keepers.silent = {"a", "b"}
    party.look(a=9, b=9).look(100, a=9, b=9)
    assert party.out == {"a"} and not party.keepers.state("c").note("b", Note.ACCUSED)


def test_without_a_majority():
    """A process that reaches one of three keepers accuses of nothing that counts, and takes nothing out."""
    party = Party(silent="ab").look(a=9)
    assert not party.look(100, a=9).out


def test_the_share_of_a_node_that_is_out():
    """Other nodes serve it at once, under names of their own that were never used."""
    party = Party()
    name = name_for(party.view, read=("a",))
    slot = party.view.place(name).slot
    party.take_out()
    (stand_in,) = party.view.place(name).route.write
    assert server_of(stand_in) in "bc" and stand_in.startswith("a")
    assert party.view.standing(stand_in, slot) is Standing.OPEN
    assert party.view.generation(stand_in, slot) > STAND_IN > party.view.generation(server_of(stand_in), slot)


def test_back_after_a_quiet_time():
    """A node that answers for long enough joins as in a resize, epoch by epoch, and is empty when it does."""
    party = Party().take_out()
    party.keepers.silent = set()
    party.look().look(4.9)
    assert party.view.state.topology.phase is Phase.STABLE
    floor = party.view.generation("a", WHOLE_NODE)
    phases = []
    party.look(0.1)
    for _ in range(60):
        if party.view.state.topology.phase not in phases:
            phases.append(party.view.state.topology.phase)
        party.look(0.5)
    assert phases == [Phase.PREPARE, Phase.COPY, Phase.FLIP, Phase.SETTLE, Phase.STABLE]
    assert not party.out and party.view.generation("a", WHOLE_NODE) == floor > 0


def test_quiet_is_broken():
    """A node that falls silent again has to begin anew."""
    party = Party().take_out()
    for _ in range(5):
        party.keepers.silent = set()
        party.look(4.0)
        party.keepers.silent = {"a"}
        party.look(1.0)
    assert party.out == {"a"} and party.view.state.topology.phase is Phase.STABLE


def test_it_falls_silent_while_it_joins():
    """It is taken out again with all that it got, and what stood in for it is given up: both may be behind."""
    party = Party().take_out()
    party.keepers.silent = set()
    party.look().look(5.0)
    assert party.view.state.topology.phase is Phase.PREPARE
    before = party.view.generation("a", WHOLE_NODE)
    party.keepers.silent = {"a"}
    party.look(a=1).look(DECIDED, a=3)
    assert party.out == {"a"} and party.view.state.topology.phase is Phase.STABLE
    assert party.view.generation("a", WHOLE_NODE) > before


def test_quiet_doubles():
    """Each time that a node is taken out soon after the last its quiet time is twice as long."""
    party = Party()
    waited = []
    for _ in range(4):
        party.keepers.silent = {"a"}
        party.take_out()
        party.keepers.silent = set()
        party.look()
        for second in range(100):
            if party.look(1.0).view.state.topology.phase is not Phase.STABLE:
                waited.append(second + 1)
                break
        for _ in range(60):
            party.look(0.5)
        assert not party.out
    assert waited == [5, 10, 20, 40]


@pytest.mark.parametrize(("down", "up"), [(4.0, 4.0), (4.0, 8.0), (3.0, 40.0)])
def test_a_hundred_flaps(down, up):
    """A node that falls silent again and again is taken out a few times, and then stays out until it is quiet."""
    party, times, silent = Party(silent=""), set(), 0.0
    for step in range(int(100 * (down + up) / 0.5)):
        away = step * 0.5 % (down + up) < down
        party.keepers.silent = {"a"} if away else set()
        silent = silent + 0.5 if away else 0.0
        party.look(0.5, **({"a": silent} if away else {}))
        times.add(party.view.state.note("a", Note.EJECTED))
    assert 1 <= len(times - {0}) <= 8


def test_taken_out_by_an_operator():
    """A node that an operator took out does not come back by itself."""
    state = FleetState(topology("abc"))
    layout = state.topology.layout.without({"a"})
    party = Party(replace(state.taken_out("a"), topology=state.topology.served_by(layout)), silent="")
    for _ in range(10):
        party.look(100)
    assert party.out == {"a"}


def test_while_a_conductor_moves_keys():
    """Nodes stay as they are in a resize that a conductor leads."""
    moving = replace(topology("abc", "abcd", Phase.COPY), fence=1)
    party = Party(FleetState(moving).bumped({note_slot("a", Note.ACCUSED): 1})).look(a=9).look(100, a=9)
    assert party.view.state.topology == moving and not party.view.shunned


def test_silent_keepers():
    """Nothing is learned from rounds that fail, and nothing raised."""
    party = Party(ACCUSED, silent="abc")
    party.look(a=9, b=9).look(100, a=9, b=9)
    assert not party.out and isinstance(party.keepers.answer({"a": [object()]})["a"][0], NodeTimeout)
