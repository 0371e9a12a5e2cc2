"""Stand-ins for what Sluice talks to: in memory for tests and evaluations, as servers for demo and load tests."""
