"""`sluice chaos`: the stack broken by a seed, and judged by what came of it."""
