"""Where replies go out and people work: recorded in Postgres, by signed webhook, or scripted."""
