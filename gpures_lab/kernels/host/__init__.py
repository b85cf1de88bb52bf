"""From a typed body to machine code for the host driver, through Numba."""
