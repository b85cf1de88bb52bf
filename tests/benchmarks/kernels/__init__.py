"""Kernels: the library, the compile cache, and where a plain call is faster."""
