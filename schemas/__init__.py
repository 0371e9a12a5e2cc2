"""What travels on Kafka: frozen events, their topics and their wire format."""
