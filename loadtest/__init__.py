"""The load test: a black box around the running product, of which it sees schemas only."""
