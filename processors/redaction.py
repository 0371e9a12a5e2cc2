"""A customer's words without what names them: addresses, telephone, order and card numbers."""

import re

_KINDS = (
    ("[address]", re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)),
    ("[e-mail]", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*", re.IGNORECASE)),
    ("[number]", re.compile(r"(?<![\w+])\d(?:[ -]?\d){12,18}\b")),  # 4111 1111 1111 1111
    ("[phone]", re.compile(r"(?<![\w-])(?:\+|00)\d[\d\s().\-/]{6,}\d")),
    ("[phone]", re.compile(r"(?<![\w-])\(?0?\d{2,4}\)?[\s./-]\d{2,4}[\s./-]?\d{2,6}(?!\w)")),
    ("[number]", re.compile(r"(?<!\w)#?(?=[\w-]*\d{3})[A-Za-z]{1,6}[-_]?\d[\w-]*\b")),  # W10023, RF-2291, crm_0007
    ("[number]", re.compile(r"(?<!\w)#\s?\d{2,}\b|(?<![\w.,$€£])\d(?:[ -]?\d){5,}\b")),  # #77, 10023401
)


def redacted(text: str) -> str:
    """The text with a word in brackets for each of them. Names of people stay: no pattern tells them."""
    for word, pattern in _KINDS:
        text = pattern.sub(word, text)
    return text
