"""Fit the trained parts on the train half of a labelled suite."""
