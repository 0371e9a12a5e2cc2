"""What each layer decides: pure functions from event to event, with ports as arguments."""
