"""How fast the cache is beside every other one for Django, measured in a way that can be repeated.

    benchmarks/run                      the standard table: three nodes, one replica, small values
    benchmarks/run table --markdown     the same, as docs/reference/benchmarks.md has it
    benchmarks/run all --json           everything there is (about ten minutes)
    benchmarks/run mover

The rules: one core for client and nodes together, so that the kernel's choice of core is no part of the result;
samples of a few milliseconds that alternate between the backends (A B C A B C …), so that a noisy neighbour hits all of
them; and of each backend's samples the least, which is the one that nothing disturbed.
"""
