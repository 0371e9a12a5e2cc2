"""Signs that somebody has written into a source: words that steer a machine, or a way out of a record.

Neither a help centre nor a customer's record says such things by itself. A verifier doesn't see them: a sentence that
quotes them is true to its source.
"""

import re
from functools import lru_cache

from processors.folding import hidden, readings
from processors.rules import RULES

_INJECTION = next(rule.pattern for rule in RULES if rule.name == "prompt_injection")
_WAY_OUT = re.compile(r"\w://|\bwww\.|\]\s*\(|<\s*/?[a-z!]|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/", re.IGNORECASE)
REMEMBERED = 4_096  # texts of sections


@lru_cache(maxsize=REMEMBERED)
def instructs(text: str) -> bool:
    """Whether a text tells a machine what to do (OWASP LLM01:2025, indirect prompt injection), also in disguise."""
    return hidden(text) or any(_INJECTION.search(reading) for reading in readings(text))


def leads_out(text: str) -> bool:
    """Whether a text has an address of the web, or markup: in what a record says there is nothing to follow."""
    return _WAY_OUT.search(text) is not None
