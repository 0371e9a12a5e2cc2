"""Adapters: one outside system a file, each implementing a port of `processors.ports`."""
