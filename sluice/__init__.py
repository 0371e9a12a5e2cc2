"""The command line: parses, wires, shows."""
