"""Carrying rounds to nodes: connections, pools, breakers. Knows the wire, and nothing of where keys live."""
