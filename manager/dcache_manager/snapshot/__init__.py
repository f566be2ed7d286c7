"""A hot cache in a file: dumped from a fleet, and loaded into it again after a restart (docs/adr/0012).

format (pure bytes) · file (streams them, verified) · dump (fleet → file) · lane, batch (items → nodes, under leases) ·
load (file → fleet) · bookmark (how far a load came) · recent (what was invalidated meanwhile).
"""
