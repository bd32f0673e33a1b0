"""A Kafka in memory, and what may happen on it to any lane.

`cluster` and `clients` are what a lane sees of Kafka; `tests/integration/test_fakes.py` compares them with a real one.
A lane's tests derive from `running_lane.RunningLane`, `group_world.GroupWorld` and `group_machine.GroupMachine`: they
say how the lane is made, what becomes of records, what else happens in its life, and what must hold.
"""
