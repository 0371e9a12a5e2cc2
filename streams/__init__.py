"""How the layers are wired to Kafka."""
