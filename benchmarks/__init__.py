"""How fast the cache is beside every other one for Django, measured in a way that can be repeated.

    benchmarks/run                      what there is a bound for, and the bounds: three nodes, small values
    benchmarks/run --page               every scenario (about half an hour), as docs/reference/benchmarks.md
    benchmarks/run mover --json

The rules: one core for client and nodes together, so that the kernel's choice of core is no part of the result;
samples of a few milliseconds that alternate between the backends (A B C A B C …), so that a noisy neighbour hits all of
them; and of each backend's samples the least, which is the one that nothing disturbed.
"""
