"""The ring: round trips, messages a second, grains, and what rest costs."""
