"""The doors as they are wired: the HTTP edge, its mail, and what it knows of outcomes. It needs no database."""
