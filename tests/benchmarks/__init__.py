"""Benchmarks: each file says its question, its floor and its rivals, then measures.

``python -m tests.benchmarks`` runs them all and prints one table; ``--json`` prints everything
measured. Floors and rivals run in the same process, interleaved with what they are compared with.
Outputs are poisoned before each run and checked after it.
"""
