"""The drill: how fast a stop stops, measured under load."""
