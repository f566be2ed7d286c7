"""A simulated world for the real flows: many processes, a few nodes, every command delivered one by one, no sockets.

node      what one memcached does, command by command
process   what `Fleet` does with a flow: proof, deadlines, learning; the same rules in simulated time
world     time, threads and faults; exchange: a round on its way
history   who wrote and read what, when; what must never be read
roles     what the processes do all day: write, read, load, count, lock, move, clear, conduct
cases     fleets before and after a resize, and the faults that strike meanwhile
broken    the rules of the protocol, each broken on purpose: by wrappers (broken_flows), by views (broken_views)
orders    every order of a few operations (parts), instead of a random one

python -m tests.support.simulation                        every case under every kind of fault
python -m tests.support.simulation CASE FAULTS RULE N     one line of that table, N seeds
python -m tests.support.simulation CASE FAULTS RULE N S   from seed S on; a single seed is told step by step
"""
