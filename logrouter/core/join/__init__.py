"""Lines that belong together: the two lines of one request, and the fragments of a line that a runtime has split.

State as plain values, without Kafka: what waits for what, and what leaves when. `logrouter.route` keeps it.
"""
