"""The fleet as values: keys, ring, topology, placement, state, view. No socket, no clock, no Django."""
