"""Faults that need a world of their own: too long, too large, or too much of the machine for a run beside others."""
