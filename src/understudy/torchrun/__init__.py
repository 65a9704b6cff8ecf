"""torchrun, around a run of several ranks: its quiet twin, what ranks say once, and that none outlives it."""
