"""Programs and batches: what a step costs with no host between the steps."""
