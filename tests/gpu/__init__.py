"""What needs a GPU: first light, hazards, figures, and the command that runs all of it."""
