"""A package, lest one of this name in site-packages hides it."""
