"""From a Python body and the dtypes of one call to a typed body, the same for every target."""
