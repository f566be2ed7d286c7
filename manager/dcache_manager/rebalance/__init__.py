"""Changing the nodes of a fleet, and moving its keys while it serves."""
