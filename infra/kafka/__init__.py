"""Kafka: a real broker for one machine, its stand-in of last resort, and the topics."""
