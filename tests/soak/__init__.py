"""Proof that nothing is lost, in two lengths: a short one in the tests, a long one in `make soak`.

==================  ============================================================================
``traffic.py``      random operations of four threads against a NumPy twin
``kills.py``        `kill -9` while a grain is checkpointed, restored by another process
``malformed.py``    messages with every field wrong, written straight into the ring (native)
``swaps.py``        grains worth ten times the pool limit, in turn
``cycles.py``       managers opened and closed: threads, descriptors, memory
``__main__.py``     all of them, bounded in time, and the report
==================  ============================================================================
"""
