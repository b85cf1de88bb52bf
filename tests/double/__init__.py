"""The Python stack over a double of libcuda: CPU threads for blocks, and no GPU anywhere."""
