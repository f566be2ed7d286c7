"""A drill: real processes use a real fleet through Django while nodes and networks fail, and every answer is checked.

history     what every process did and got, in fixed-size records
truth       what was ever written, in memory that all processes share
stamp       values that say whose they are
workload    a seeded process that reads, writes, counts and logs in and out; `worker` is its program
arena       the nodes, the networks between them and the processes, all on loopback
faults      everything that can be broken; `nemesis` decides what is broken when
checker     what may never be seen in a history; `staleness` and `counting` are its longer arguments
report      what people read afterwards, with `picture`
teeth       mistakes to be planted in a copy of the product, each of which has to be found
drill       all of it, in order
"""
