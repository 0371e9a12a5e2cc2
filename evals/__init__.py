"""How good the answers are: datasets, scorers, training, bars."""
