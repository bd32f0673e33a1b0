"""The tables lane, and the only importer of Faust, aiokafka and rocksdict.

Partial sums come in from the rollup topic, rows go to RocksDB and its changelog, and a table view answers from them.
How rows are laid out is in docs/adr/0003, how exactly-once is kept across kills and rebalances in docs/adr/0004.
"""
