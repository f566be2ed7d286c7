"""A hot cache in a file: dumped from a fleet, and loaded into it again after a restart (docs/adr/0012).

format (pure bytes) · file (streams them, verified) · dump (fleet → file) · node_batch, batch, batch_writer (items →
nodes, under leases) · load (file → fleet) · resume_point (how far a load came) · recent_invalidations (what was
invalidated meanwhile) · service (a dump or a load, from Python)
"""
