"""A drafting model without weights of its own: it answers with the sentences of the sources that fit the question."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, log1p
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from infra.embeddings.remembered import TokenEmbedder
from processors.errors import ModelFailed
from processors.ports import Completion, Embedder, Prompt
from processors.resolution import DraftReply, DraftRequest, DraftSentence, ShownPassage
from processors.sentences import Unit, stems, units

T = TypeVar("T", bound=BaseModel)
Vectors = NDArray[Any]  # of floats, rows of norm 1

# How a passage ranks: a sum of cosines with the question, weighted by hand on the shop's train tickets and checked on
# the thunderbird forum's. The first two compare token by token (Khattab & Zaharia 2020, ColBERT's MaxSim).
TOKENS, ASKED_TOKENS = 0.6, 0.4
SENTENCE, ASKED_SENTENCE, HEADING, TITLE = 0.5, 0.2, 0.2, 0.2  # of the best sentence; of the heading, of the title
SPELLING = 0.1  # idf-weighted share of the question's 4-grams: a misspelt word still counts
MEASURE = 0.05  # a sentence holds the kind of value that is asked for
RANK = 0.01  # times -ln(place), the order retrieval gave; with more, fewer of its mistakes show in how it reads

WORDS = 0.3  # a sentence's weight of idf-weighted word overlap, beside its cosines
NEIGHBOUR = 0.75  # share of the best sentence's score that makes a neighbour part of the answer
MARGIN = 0.06  # a second section this close to the best is quoted too
AT_ONCE = 2  # drafts at a time; the embedder computes one text after the other
WINDOW, SECOND_WINDOW = (4, 80), (2, 50)  # sentences and words at most
REMEMBERED = 8_192  # texts of sections whose words are kept
CONTEXT = 2  # sentences at least, where the section has them


class LocalExtractive:
    """Extractive question answering: rank sections, then take the best contiguous window of sentences.

    Every sentence is a verbatim span, so it can't be wrong about its source; it can be the wrong source. Two sections
    that fit about equally well are both quoted.
    """

    name = "local/extractive"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def complete(self, prompt: Prompt, schema: type[T], deadline: float) -> Completion[T]:
        """Answer a `DraftRequest` with a `DraftReply`, within `deadline` seconds.

        Raises:
            ModelFailed: another payload or schema, or past the deadline.
        """
        try:
            request = DraftRequest.model_validate_json(prompt.user)
            async with self._turns, asyncio.timeout(deadline):  # the time counts from its turn: a queue is no fault
                reply = await self._reply(request)
            value = schema.model_validate(reply.model_dump())
        except ValidationError as error:
            raise ModelFailed(f"{self.name} answers a DraftRequest with a DraftReply only") from error
        except TimeoutError:
            raise ModelFailed(f"{self.name} took longer than {deadline:g} s") from None
        return Completion(value, self.name, tokens_in=0, tokens_out=0, cost_usd=0.0)

    async def _reply(self, request: DraftRequest) -> DraftReply:
        sections = await self._sections(request)
        sections.sort(key=lambda section: section.score, reverse=True)
        answered = [window(section, *WINDOW) for section in sections[:1]]
        answered += [
            window(section, *SECOND_WINDOW)
            for section in sections[1:2]
            if section.score > sections[0].score - MARGIN and section.passage.text != sections[0].passage.text
        ]
        return DraftReply(sentences=tuple(sentence for sentences in answered for sentence in sentences))

    async def _sections(self, request: DraftRequest) -> "list[Section]":
        question = Question.of(request.question)
        cut = [(passage, pieces) for passage in request.passages if (pieces := _pieces(passage.text))]
        asked = [question.text, question.asked]
        texts = [text for passage, pieces in cut for text in _embedded(passage, pieces)]
        vectors = dict(zip(texts, np.asarray(await self._embedder.embed(texts), np.float32), strict=True))
        nearest = await self._nearest(asked, [whole_of(passage) for passage, _ in cut])
        fitting = _Fitting(
            question,
            np.asarray(await self._embedder.embed(asked), np.float32),
            words=_idf([_words(passage, piece) for passage, pieces in cut for piece in pieces]),
            grams=_idf([_grams(whole_of(passage)) for passage, _ in cut]),
        )
        return [
            fitting.section(
                passage,
                pieces,
                np.stack([vectors[text] for text in _embedded(passage, pieces)]),
                float(np.array([TOKENS, ASKED_TOKENS]) @ nearest[:, place]) - RANK * log1p(place),
            )
            for place, (passage, pieces) in enumerate(cut)
        ]

    async def _nearest(self, asked: Sequence[str], sections: Sequence[str]) -> Vectors:
        """asked × sections: how near the nearest token of a section is to a token of the question, on average."""
        if not isinstance(self._embedder, TokenEmbedder) or not sections:
            return np.zeros((len(asked), len(sections)), np.float32)
        tokens = await self._embedder.embed_tokens([*asked, *sections])
        questions, texts = tokens[: len(asked)], tokens[len(asked) :]
        return np.array([[_max_sim(question, text) for text in texts] for question in questions], np.float32)


def _max_sim(question: Vectors, text: Vectors) -> float:
    return float((question @ text.T).max(axis=1).mean()) if question.size and text.size else 0.0


@dataclass(frozen=True)
class Section:
    """A passage cut into sentences, with how well each and the whole fit the question."""

    passage: ShownPassage
    pieces: tuple[Unit, ...]
    fit: tuple[float, ...]  # one per piece
    score: float


@dataclass(frozen=True)
class _Fitting:
    """How well sections fit one question."""

    question: "Question"
    asked: Vectors  # 2 × dimensions: the whole text, and its asking part
    words: dict[str, float]
    grams: dict[str, float]

    def section(self, passage: ShownPassage, pieces: tuple[Unit, ...], vectors: Vectors, prior: float) -> Section:
        """`vectors` are those of `_embedded`: heading, title, sentences. `prior` scores the section as a whole."""
        whole, asked = self.asked
        sentences = vectors[2:]
        measured = np.array([self.question.measures(piece.text) for piece in pieces], np.float32)
        stemmed = _stems(self.question.text, "")
        covered = np.array([_share(stemmed, _words(passage, piece), self.words) for piece in pieces])
        score = (
            prior
            + SENTENCE * (sentences @ whole).max()
            + ASKED_SENTENCE * (sentences @ asked).max()
            + np.array([HEADING, TITLE]) @ (vectors[:2] @ whole)
            + SPELLING * _share(_grams(self.question.text), _grams(whole_of(passage)), self.grams)
            + MEASURE * measured.max()
        )
        fit = sentences @ (whole + asked) / 2 + WORDS * covered + MEASURE * measured
        return Section(passage, pieces, tuple(float(value) for value in fit), float(score))


# -- the answer

LONGEST_TEXT, LONGEST_QUOTE = 1_000, 2_000  # characters, as `DraftSentence` allows


@lru_cache(maxsize=REMEMBERED)
def _pieces(text: str) -> tuple[Unit, ...]:
    """The sentences of a section that may be quoted."""
    return tuple(filter(_fits, units(text)))


def _fits(piece: Unit) -> bool:
    return len(piece.text) <= LONGEST_TEXT and piece.end - piece.start <= LONGEST_QUOTE


def window(section: Section, sentences: int, words: int) -> tuple[DraftSentence, ...]:
    """The best sentence with the neighbours that fit nearly as well, and those it can't be understood without."""
    best = max(range(len(section.pieces)), key=section.fit.__getitem__)
    first, last = _with_antecedent(section, best), best
    while grown := _grown(section, first, last, section.fit[best]):
        begin, end = _with_antecedent(section, grown[0]), grown[1]
        if end - begin + 1 > sentences or _length(section, begin, end) > words:
            break
        first, last = begin, end
    return tuple(_sentence(section.passage, piece) for piece in section.pieces[first : last + 1])


def _grown(section: Section, first: int, last: int, best: float) -> tuple[int, int] | None:
    """The window with its better neighbour, or None when neither belongs to it."""
    around = [index for index in (first - 1, last + 1) if 0 <= index < len(section.pieces)]
    if not around:
        return None
    chosen = max(around, key=section.fit.__getitem__)
    if last - first + 1 >= CONTEXT and section.fit[chosen] < NEIGHBOUR * best:
        return None
    return min(first, chosen), max(last, chosen)


_ANAPHORA = re.compile(
    r"(it|they|this|these|those|that|then|after that|otherwise|both|if not|in that case|the (period|time|amount))\b",
    re.IGNORECASE,
)


def _with_antecedent(section: Section, index: int) -> int:
    """The sentence to begin with: "It starts on the day of delivery" says nothing without the one before it."""
    while index > 0 and _ANAPHORA.match(section.pieces[index].text):
        index -= 1
    return index


def _length(section: Section, first: int, last: int) -> int:
    return sum(len(piece.text.split()) for piece in section.pieces[first : last + 1])


def _sentence(passage: ShownPassage, piece: Unit) -> DraftSentence:
    return DraftSentence(
        text=piece.text,
        article_id=passage.article_id,
        section_id=passage.section_id,
        quote=passage.text[piece.start : piece.end],
    )


# -- the question

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_ASKING = re.compile(
    r"(and |so |but )?(how|what|when|where|which|who|why|can|could|do|does|did|is|are|will|would|may|until|till)\b",
    re.IGNORECASE,
)
_MEASURES = (  # what is asked for, and how such a value looks
    (
        r"how much|amounts?\b|cost|price|\bfees?\b|charge|\$|worth|dollars?|extra|\bpay\b|discount|percent",
        r"[$€£]\s?\d|\bfree\b|\d\s?%",
    ),
    (
        r"how long|how many (\w+ )?(minutes|hours|days|weeks|months|years)|when\b|until|till\b|by what|deadline|latest"
        r"|last day|\btime|how soon|how far back|expire|run out|limit",
        r"\d+(st|nd|rd|th)?\s?(working |business )?(minute|hour|day|week|month|year)|\d\s?[ap]\.m|\d+th\b"
        r"|\b(January|February|March|April|May|June|July|August|September|October|November|December) \d",
    ),
    (r"how (many|big|deep|far|hot|old|tall|large)|(which|what) size|at what|up to|minimum|into how", r"\d"),
)
MEASURES = tuple((re.compile(asked, re.I), re.compile(value, re.I)) for asked, value in _MEASURES)


@dataclass(frozen=True)
class Question:
    """What the customer wrote, and the part of it that asks."""

    text: str
    asked: str

    @classmethod
    def of(cls, text: str) -> "Question":
        """Find the asking sentences: those with a question mark, else those that begin like a question, else all."""
        parts = [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
        marked = [part for part in parts if part.endswith("?")] or [part for part in parts if _ASKING.match(part)]
        return cls(text, " ".join(marked) or text)

    def measures(self, sentence: str) -> bool:
        """Whether the sentence holds a value of the kind that is asked for: a price, a time, a number."""
        return any(asked.search(self.asked) and value.search(sentence) for asked, value in MEASURES)


# -- words


def whole_of(passage: ShownPassage) -> str:
    """A passage as it is compared token by token."""
    return f"{passage.title}: {passage.heading}. {passage.text}"


def embedded_of(passage: ShownPassage) -> list[str]:
    """What is embedded of a passage as a whole."""
    return _embedded(passage, _pieces(passage.text))


def _embedded(passage: ShownPassage, pieces: Sequence[Unit]) -> list[str]:
    """What is embedded of a passage: its heading, its title, and each sentence under its heading."""
    return [passage.heading, passage.title, *(f"{passage.heading}: {piece.text}" for piece in pieces)]


def _words(passage: ShownPassage, piece: Unit) -> frozenset[str]:
    return _stems(piece.text, passage.heading)


@lru_cache(maxsize=REMEMBERED)
def _stems(sentence: str, heading: str) -> frozenset[str]:
    return stems(sentence) | stems(heading)


@lru_cache(maxsize=REMEMBERED)
def _grams(text: str) -> frozenset[str]:
    words = [f" {word} " for word in re.findall(r"[a-z0-9]+", text.lower())]
    return frozenset(word[at : at + 4] for word in words if len(word) > 4 for at in range(len(word) - 3))


def _idf(texts: Sequence[frozenset[str]]) -> dict[str, float]:
    """Inverse document frequency over what was retrieved: what every section says does not tell them apart."""
    counts: dict[str, int] = {}
    for text in texts:
        for term in text:
            counts[term] = counts.get(term, 0) + 1
    return {term: log(1 + (len(texts) + 1) / (0.5 + count)) for term, count in counts.items()}


def _share(asked: frozenset[str], text: frozenset[str], weights: dict[str, float]) -> float:
    """The weighted share of the question's terms, of those any section has, that this text has."""
    known = {term: weights[term] for term in asked if term in weights}
    return sum(weight for term, weight in known.items() if term in text) / (sum(known.values()) or 1.0)
