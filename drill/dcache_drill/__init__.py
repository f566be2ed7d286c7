"""A drill: real processes use a real fleet through Django while nodes and networks fail, and every answer is checked.

drill           all of it, in order; `plan` says what it is made of
testbed         the nodes, the networks between them and the processes, all on loopback
worker          one process of the site; `workload` is what it does, drawn from a seed, `client` how it is recorded
faults          everything that can be broken; `schedule` says what is broken when, `injector` carries that out
history         what every process did and got, in fixed-size records
ground_truth    what was ever written, in memory that all processes share; `tagged_value`: values that name their key
checker         what may never be seen in a history; `staleness`, `counters` and `availability` are its longer arguments
monitor         when nodes were ill in fact
core_time       what a busy machine took from a process
audit           what every copy holds in the end, what processes complained of and what they leaked
report          what people read afterwards, with `chart`
"""
