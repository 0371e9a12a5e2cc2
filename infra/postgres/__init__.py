"""Postgres with pgvector: the embedded server, the migrations and the adapters that keep what must be exact."""
