"""Is a sentence supported by the source it cites? Vetoes and features, both pure; the trained part is an adapter's."""
