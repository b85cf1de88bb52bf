"""Workloads: whole small computations, each an example of how the API is meant to be used.

A module holds the computation on a grain, the same one by its rivals, and an implementation that
shares no code with either, which judges them all.
"""
