"""Kernels for NVIDIA GPUs: LTO-IR from Numba and NVRTC, linked into one image. Needs no GPU."""
