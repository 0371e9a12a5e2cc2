"""Chaos: faults by a seed, everything that happened written down, and one oracle that judges it."""
