"""What the trained part sees of a sentence: how well its quote supports it, and whether it is about the question.

Support alone is not enough: an off-topic sentence copied from the wrong section is supported word by word. So the
second half of the vector compares the question with the sentence and with the section cited.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processors.groundedness.text import content, plain, quantities, stem, words
from processors.groundedness.vetoes import Aligned, antonyms, negations

NEAR = ("ask-span", "ask-section", "ask-heading", "ask-best-part", "ask-margin")

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
    # relevance of the sentence and the section to the question
    *NEAR,
    "asked-in-span",
    "asked-in-section",
    "asked-in-heading",
    "heading-in-asked",
    "asked-kind-told",
    "question-length-log",
)


@dataclass(frozen=True)
class Closeness:
    """Cosines of embeddings, computed by the adapter, -1 to 1."""

    ask_span: float  # question and the span quoted
    ask_section: float  # question and the cited section under its heading
    ask_heading: float  # question and the heading alone
    ask_best_part: float  # the nearest single sentence of the question and the section
    ask_margin: float  # ask_section less that of the best other source; 0 without another
    token_precision: float  # mean over the sentence's tokens of the nearest token of the span; 1 for a copy


def features(aligned: Aligned, question: str, closeness: Closeness, idf: Mapping[str, float]) -> tuple[float, ...]:
    """One value per name in `NAMES`. `idf` weighs stems; unknown ones weigh as the rarest known."""
    return (*_support(aligned, closeness, idf), *_relevance(aligned, plain(question), closeness, idf))


# -- support


def _support(aligned: Aligned, closeness: Closeness, idf: Mapping[str, float]) -> tuple[float, ...]:
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
        closeness.token_precision,
    )


def _share(part: Sequence[str], whole: Sequence[str], idf: Mapping[str, float]) -> float:
    """The weight of the part's distinct stems that the whole has too; 1 for an empty part."""
    rarest = max(idf.values(), default=1.0)
    weights = {word: idf.get(word, rarest) for word in part}
    total = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in set(whole)) / total if total else 1.0


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


def _relevance(aligned: Aligned, question: str, closeness: Closeness, idf: Mapping[str, float]) -> tuple[float, ...]:
    asked, heading = content(question), content(aligned.heading)
    span = content(aligned.span)
    return (
        closeness.ask_span,
        closeness.ask_section,
        closeness.ask_heading,
        closeness.ask_best_part,
        closeness.ask_margin,
        _share(asked, span, idf) if asked else 0.0,
        _share(asked, [*content(aligned.source), *heading], idf) if asked else 0.0,
        _share(asked, heading, idf) if asked else 0.0,
        _share(heading, asked, idf) if heading else 0.0,
        _asked_kind_told(question, aligned.said),
        math.log1p(len(words(question))),
    )


_KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("how much", "cost", "price", "fee", "charge", "how expensive", "pay for"), "$€£%"),
    (("how long", "how many days", "when ", "how soon", "until", "deadline", "by what"), "hdwmy/:"),
)


def _asked_kind_told(question: str, said: str) -> float:
    """1 where the question asks for an amount or a time and the sentence tells one, -1 where it does not, else 0."""
    lower = question.lower()
    wanted = [marks for phrases, marks in _KINDS if any(phrase in lower for phrase in phrases)]
    if not wanted:
        return 0.0
    told = quantities(said)
    return 1.0 if any(_is_of(marks, told) for marks in wanted) else -1.0


def _is_of(marks: str, told: Sequence[str]) -> bool:
    amounts = any(mark in item for item in told for mark in "$€£%")
    times = any("/" in item or ":" in item or item.rpartition(" ")[2] in _TIMES for item in told)
    return amounts if "$" in marks else times


_TIMES = frozenset(stem(unit) for unit in ("minute", "hour", "day", "week", "month", "year"))
