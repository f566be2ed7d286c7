"""One module per noun of dcache-admin."""
