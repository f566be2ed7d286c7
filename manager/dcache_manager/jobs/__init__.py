"""Long work that survives its process: leases, journals, progress."""
