"""`sluice drill`: how fast a stop stops, measured in a scope of the drill's own."""
