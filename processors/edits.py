"""Whether a person's edit of a draft changes what it says, or only how: a fact or an action, or the tone."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_NUMBER_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|fifteen|twenty|thirty|forty|sixty|ninety"
    r"|hundred|thousand|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|june|july"
    r"|august|september|october|november|december|today|tomorrow|yesterday)\b"
)
_ADDRESS = re.compile(r"https?://\S+|\b[\w.+-]+@[\w-]+\.[\w.]+")
_NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|without|unable|only|unless|except)\b|n['’]t\b")
_ACTION = re.compile(  # by its stem: what is done, or told to be done
    r"\b(refund|cancel|replac|exchang|return|ship|dispatch|deliver|credit|charg|reimburs|compensat|waiv|clos|delet|reset"
    r"|escalat|discount|renew|unsubscrib|subscrib|free|extend|upgrad|expir)\w*"
)


def changes_fact(diff: str) -> bool:
    """Whether a unified diff changes a number, date, address, negation or action: what a customer may rely on.

    A rule of thumb that errs towards yes: an edit that changes none of these may still change a fact, as by a name.
    """
    lines = diff.splitlines()
    removed = facts_of(" ".join(line[1:] for line in lines if line.startswith("-") and not line.startswith("---")))
    added = facts_of(" ".join(line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")))
    return removed != added


@dataclass(frozen=True)
class Facts:
    """What a text says that a customer may rely on."""

    named: frozenset[str]  # numbers, dates, amounts, words for them, addresses
    acts: frozenset[str]  # what is done or told to be done, by its stem
    negations: int  # how often it says no


def facts_of(text: str) -> Facts:
    """The facts of a text."""
    folded = text.casefold()
    addresses = frozenset(found.rstrip(".,;:!?)") for found in _ADDRESS.findall(folded))
    rest = _ADDRESS.sub(" ", folded)
    return Facts(
        named=addresses.union(_NUMBER.findall(rest), _NUMBER_WORD.findall(rest)),
        acts=frozenset(_ACTION.findall(rest)),
        negations=len(_NEGATION.findall(rest)),
    )
