"""What the trained part sees of a sentence: how well its quote supports it, and whether it is about the question.

Support alone is not enough: an off-topic sentence copied from the wrong section is supported word by word. So the
second half of the vector compares the question with what the reply quotes and with the section it quotes. What answered
labelled questions like this one tells more the worse the wording tells it: AUROC of chosen answers .55 without and .68
with it on the thunderbird forum (200 tickets), .83 with and without it on the shop (334).

The sections found are compared with each other by one number, "section-share": how likely it is that this one answers,
if one of them does. It is learned on its own, over `FITS`, as a choice among them. How far a section leads them by
each cosine is left out on purpose: an answerer takes the best, so such a lead says little of whether even the best one
answers (AUROC of the shop's chosen answers .78 with it, .88 without).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

from processors.groundedness.text import content, quantities, stem, words
from processors.groundedness.vetoes import Aligned, antonyms, negations

ABOUT = (
    "whole",  # question and section under its heading
    "part",  # the nearest single sentence of the question, and the section
    "heading",  # question and heading alone
    "tokens-asked",  # the question's tokens, each by its nearest in the section (Khattab & Zaharia 2020, ColBERT)
    "tokens-told",  # the section's tokens, each by its nearest in the question
    "asked-in-text",  # weight of the question's stems that stand in the section
    "asked-in-heading",
    "heading-in-asked",
)

BEFORE = (
    "cited",
    "lead",
    "lead-on-none",
    "vote",
    "vote-article",
    "vote-none",
    "likely",
)

FITS = (*ABOUT, *BEFORE)  # what a section is chosen by

NAMES: tuple[str, ...] = (
    # support of the sentence by the span it quotes
    "coverage",
    "coverage-idf",
    "coverage-source-idf",
    "bigrams",
    "trigrams",
    "rouge-l-recall",
    "longest-run",
    "char-5-grams",
    "quantities-kept",
    "names-kept",
    "negation-gap",
    "antonyms",
    "novel-words",
    "modal-gap",
    "length-log",
    "length-ratio",
    "token-precision",
    # relevance of the answer to the question
    "answer",
    "answer-part",
    "answer-tokens-asked",
    "answer-tokens-told",
    "asked-in-answer",
    "asked-kind-told",
    "question-length-log",
    # relevance of the section
    *(f"section-{name}" for name in ABOUT),
    # what answered questions like it before
    *(f"before-{name}" for name in BEFORE),
    # the section among those found
    "section-share",
)


@dataclass(frozen=True)
class Near:
    """How close a text is to the question, as cosines of embeddings, -1 to 1; computed by the adapter."""

    whole: float  # question and text
    part: float  # the nearest single sentence of the question, and the text
    tokens_asked: float  # mean over the question's tokens of the nearest token of the text
    tokens_told: float  # mean over the text's tokens of the nearest token of the question


@dataclass(frozen=True)
class Subject:
    """A section beside the question."""

    heading: str  # plain
    text: str  # plain
    near: Near  # of the section under its heading
    near_heading: float  # cosine of question and heading


@dataclass(frozen=True)
class Before:
    """What answered the labelled questions most like this one, as cosines of embeddings and shares of the nearest."""

    cited: float = 0.0  # cosine of the nearest question that the cited section answered; 0 without one
    lead: float = 0.0  # that minus the cosine of the nearest one that others answered
    lead_on_none: float = 0.0  # that minus the cosine of the nearest one that nothing answered
    vote: float = 0.0  # weight among the nearest, of those that the cited section answered
    vote_article: float = 0.0  # and its article
    vote_none: float = 0.0  # and nothing
    likely: float = 0.0  # log of the probability that the article answers such a question; 0 where that is not learned


@dataclass(frozen=True)
class Asked:
    """A question beside what is answered and the section it is answered from."""

    question: str  # plain
    answer: str  # all that the reply quotes of the sentence's source, plain: its second sentence may not stand alone
    near_answer: Near
    cited: Subject
    before: Before = Before()
    share: float = 0.0  # log of the probability that the section answers, if one of those found does


def fits(question: str, subject: Subject, before: Before, idf: Mapping[str, float]) -> tuple[float, ...]:
    """How well a section fits a question, plain: one value per name in `FITS`."""
    return (*_about(subject, content(question), idf), *astuple(before))


def features(aligned: Aligned, asked: Asked, token_precision: float, idf: Mapping[str, float]) -> tuple[float, ...]:
    """One value per name in `NAMES`.

    `token_precision` is the mean over the sentence's tokens of the cosine of the span's nearest token, 1 for a copy
    (BERTScore, Zhang et al. 2020). `idf` weighs stems; unknown ones weigh as the rarest known.
    """
    return (*_support(aligned, token_precision, idf), *_relevance(asked, idf))


# -- support


def _support(aligned: Aligned, token_precision: float, idf: Mapping[str, float]) -> tuple[float, ...]:
    said, span = content(aligned.said), content(aligned.span)
    said_words, span_words = words(aligned.said), words(aligned.span)
    return (
        _share(said, span, {}),
        _share(said, span, idf),
        _share(said, content(aligned.source), idf),
        _ngrams(said_words, span_words, 2),
        _ngrams(said_words, span_words, 3),
        _common_subsequence(said_words, span_words) / max(len(said_words), 1),
        _longest_run(said_words, span_words) / max(len(said_words), 1),
        _ngrams(list(aligned.said.lower()), list(aligned.span.lower()), 5),
        _kept(quantities(aligned.said), quantities(aligned.span)),
        _kept(_names(aligned.said), _names(f"{aligned.span} {aligned.heading}")),
        float(abs(negations(aligned.said) - negations(aligned.span))),
        float(antonyms(aligned.said, aligned.span)),
        float(len(set(said) - set(span))),
        float(abs(_modals(said_words) - _modals(span_words))),
        math.log1p(len(said_words)),
        math.log((1 + len(said_words)) / (1 + len(span_words))),
        token_precision,
    )


def _share(part: Sequence[str], whole: Sequence[str], idf: Mapping[str, float]) -> float:
    """The weight of the part's distinct stems that the whole has too; 1 for an empty part."""
    rarest = max(idf.values(), default=1.0)
    weights = {word: idf.get(word, rarest) for word in part}
    total = sum(weights.values())
    given = set(whole)
    return sum(weight for word, weight in weights.items() if word in given) / total if total else 1.0


def _ngrams(part: Sequence[str], whole: Sequence[str], size: int) -> float:
    wanted = set(zip(*(part[start:] for start in range(size)), strict=False))
    given = set(zip(*(whole[start:] for start in range(size)), strict=False))
    return len(wanted & given) / len(wanted) if wanted else 1.0


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence (ROUGE-L, Lin 2004)."""
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for at, candidate in enumerate(other, 1):
            above = row[at]
            row[at] = diagonal + 1 if word == candidate else max(above, row[at - 1])
            diagonal = above
    return row[-1]


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common run of words."""
    best = 0
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for at, candidate in enumerate(other, 1):
            above = row[at]
            row[at] = diagonal + 1 if word == candidate else 0
            best = max(best, row[at])
            diagonal = above
    return best


def _kept(part: Sequence[str], whole: Sequence[str]) -> float:
    return sum(item in whole for item in part) / len(part) if part else 1.0


def _names(text: str) -> list[str]:
    return [word.lower() for word in text.split()[1:] if word[:1].isupper() and len(word) > 1]


_MODAL_WORDS = "can could may might must shall should will would always usually normally often sometimes"
_MODALS = frozenset(_MODAL_WORDS.split())


def _modals(text: Sequence[str]) -> int:
    return sum(word in _MODALS for word in text)


# -- relevance


def _relevance(asked: Asked, idf: Mapping[str, float]) -> tuple[float, ...]:
    stems = content(asked.question)
    return (
        asked.near_answer.whole,
        asked.near_answer.part,
        asked.near_answer.tokens_asked,
        asked.near_answer.tokens_told,
        _share(stems, content(asked.answer), idf) if stems else 0.0,
        _asked_kind_told(asked.question.lower(), quantities(asked.answer)),
        math.log1p(len(words(asked.question))),
        *fits(asked.question, asked.cited, asked.before, idf),
        asked.share,
    )


def _about(subject: Subject, asked: Sequence[str], idf: Mapping[str, float]) -> tuple[float, ...]:
    heading = content(subject.heading)
    return (
        subject.near.whole,
        subject.near.part,
        subject.near_heading,
        subject.near.tokens_asked,
        subject.near.tokens_told,
        _share(asked, (*content(subject.text), *heading), idf) if asked else 0.0,
        _share(asked, heading, idf) if asked else 0.0,
        _share(heading, asked, idf) if heading else 0.0,
    )


_ASKS_AMOUNT = re.compile(r"\bhow (?:much|expensive)\b|\b(?:costs?|prices?|fees?|charges?|percent|discount)\b")
_ASKS_TIME = re.compile(r"\bhow (?:long|soon|many (?:\w+ )?days)\b|\b(?:when|until|deadline|latest)\b")
_TIMES = frozenset(stem(unit) for unit in ("minute", "hour", "day", "week", "month", "year"))


def _asked_kind_told(question: str, told: Sequence[str]) -> float:
    """1 where the question asks for an amount or a time and the answer tells one, -1 where it does not, else 0."""
    amount, time = _ASKS_AMOUNT.search(question), _ASKS_TIME.search(question)
    if not (amount or time):
        return 0.0
    fits = (amount and any(set("$€£%") & set(item) for item in told)) or (time and any(map(_is_time, told)))
    return 1.0 if fits else -1.0


def _is_time(item: str) -> bool:
    return "/" in item or ":" in item or item.rpartition(" ")[2] in _TIMES
