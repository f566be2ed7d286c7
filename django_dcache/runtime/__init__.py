"""One process on one fleet: what runs a flow, and the short cut for plain cases."""
