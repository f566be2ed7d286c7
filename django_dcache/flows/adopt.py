"""The end of a fleet's time beside classic clients (docs/adr/0040-beside-classic-clients-as-they-are.md)."""

from ..model.state import ADOPTED_SLOT
from ..model.view import View
from . import Flow
from .consensus import agree


def finish(view: View) -> Flow[bool]:
    """Say that no classic client uses the nodes any more. Whether a majority of keepers holds that: then every process
    goes by it within `view.hold`."""
    return (yield from agree(view, lambda state: state.bumped({ADOPTED_SLOT: 1}), everywhere=True)).majority
