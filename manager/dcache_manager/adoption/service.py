"""The end of the time beside another backend, from Python.

from dcache_manager.adoption import service
from dcache_manager.inspection.target import of_alias

service.status(of_alias("default"))     # Status(coexist="pymemcache", finished=False, …)
service.finish(of_alias("default"))
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from django_dcache.conf import Options
from django_dcache.errors import NoMajority
from django_dcache.flows import adopt
from django_dcache.model.state import FleetState
from django_dcache.runtime.fleet import Fleet

from ..errors import NotPossible
from ..inspection.target import Target


@dataclass(frozen=True, slots=True)
class Status:
    coexist: str
    """The backend that the settings name; empty: none."""
    finished: bool
    """Whether the fleet state says that none of its processes is left."""
    ring: str
    """How keys are placed."""
    apart: bool
    """Old and new processes share nothing: the fleet was there before, with another ring or with bumped slots."""
    epoch: int

    @property
    def coexists(self) -> bool:
        return bool(self.coexist) and not self.finished

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"coexists": self.coexists}


def status(target: Target) -> Status:
    """Whether this site's processes leave room for those of another backend. Raises NoMajority."""
    with target.connected() as fleet:
        return _proven(fleet)


def finish(target: Target) -> Status:
    """Say that no process of the other backend is left; returns when every process of this one goes by it.

    Raises NotPossible where there is nothing to finish, NoMajority.
    """
    with target.connected() as fleet:
        before = _proven(fleet)
        if not before.coexist:
            raise NotPossible("OPTIONS has no 'coexist': this site shares its nodes with no other backend")
        if before.finished:
            return before
        if not fleet.run(adopt.finish):
            raise NoMajority(epoch=before.epoch)
        time.sleep(fleet.view.hold)
        return _proven(fleet)


def _proven(fleet: Fleet) -> Status:
    fleet.proven_view()
    view = fleet.view
    if not fleet.proven:
        raise NoMajority(epoch=view.epoch)
    state, options = view.state, fleet.options
    return Status(options.coexist, state.adopted, state.topology.layout.ring, apart(state, options), view.epoch)


def apart(state: FleetState, options: Options) -> bool:
    """Whether old processes find nothing of what new ones store, though they were to: the fleet was there before."""
    layout = state.topology.layout
    moved = layout.ring != options.ring or layout.replicas > 1
    return bool(options.coexist) and not state.adopted and (moved or any(map(state.highest, state.topology.nodes)))
