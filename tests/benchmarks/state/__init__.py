"""What survival costs: checkpoints, restores, swaps, and what other grains feel of them."""
