"""`sluice demo`: a stack of its own, a suite's tickets through its edge, and what became of them."""
