"""Answers spoilt on purpose, one fault each: what a verifier has to stop."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from processors.groundedness.text import plain, words
from schemas.resolution import Sentence

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?!\w)")
_VERB = re.compile(r"\b(is|are|can|will|do|does|may|must|was|were|has|have|should)\b(?! not\b|n't)")
_PLAIN_VERB = re.compile(r"\b(You|We|They) (?=[a-z]+ )")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)?\b")
_NOUN = re.compile(r"\b[a-z]{5,}\b")
_CONDITION = re.compile(r",? (?:unless|except|as long as|provided|only if|if|when|until)\b[^.;]*(?=[.;]|$)")


@dataclass(frozen=True)
class Spoilt:
    """A sentence with a fault. Its quote is left as it was: a corrupted answer still points at the right place."""

    kind: str
    sentence: Sentence


def spoil(sentence: Sentence, others: Sequence[str], random: Random) -> tuple[Spoilt, ...]:
    """Every fault that this sentence can be given. `others` are sentences of other sections, for borrowed words."""
    text = sentence.text
    faults = {
        "swapped-number": _swap_number(text, random),
        "negation": _negate(text),
        "swapped-entity": _swap_entity(text, others, random),
        "dropped-condition": _CONDITION.sub("", text, count=1),
        "invented": _invented(others, random),
    }
    return tuple(
        Spoilt(kind, Sentence(text=spoilt, citation=sentence.citation))
        for kind, spoilt in faults.items()
        if spoilt and plain(spoilt) != plain(text)
    )


def _swap_number(text: str, random: Random) -> str:
    """Another number for one of the text's: near it, as a slip would be."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return ""
    match = random.choice(found)
    digits = match.group(0)
    at = random.choice([place for place, sign in enumerate(digits) if sign.isdigit()])
    other = random.choice([digit for digit in "123456789" if digit != digits[at]])
    return text[: match.start()] + digits[:at] + other + digits[at + 1 :] + text[match.end() :]


def _negate(text: str) -> str:
    if _VERB.search(text):
        return _VERB.sub(r"\1 not", text, count=1)
    return _PLAIN_VERB.sub(r"\1 do not ", text, count=1)


def _swap_entity(text: str, others: Sequence[str], random: Random) -> str:
    """A name, else a long word, for another of the same kind."""
    for pattern in (_NAME, _NOUN):
        mine = [match.group(0) for match in pattern.finditer(text)]
        theirs = sorted({word for other in others for word in pattern.findall(other)} - set(words(text)) - set(mine))
        if mine and theirs:
            return text.replace(random.choice(mine), random.choice(theirs), 1)
    return ""


def _invented(others: Sequence[str], random: Random) -> str:
    """A sentence from somewhere else, without its numbers, passed off as the quote's."""
    return re.sub(r"\s*\S*\d\S*", "", random.choice(others)) if others else ""
