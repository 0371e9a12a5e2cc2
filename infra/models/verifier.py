"""The local verifier: vetoes, then a calibrated logistic regression over features of the sentence and the question."""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, isfinite, log1p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from infra.embeddings.remembered import TokenEmbedder
from infra.models.precedents import NONE, Key, Precedents
from infra.models.precedents import read as read_precedents
from infra.models.untrained import NotTrained
from processors.errors import SluiceError
from processors.groundedness.features import FITS, NAMES, Asked, Before, Near, Subject, features, fits
from processors.groundedness.text import content, plain, units_of
from processors.groundedness.vetoes import RECORD, Aligned, align, record_vetoes, vetoes
from processors.ports import Embedder, Source
from schemas.gate import SentenceCheck
from schemas.resolution import Sentence

FILE = "verifier.json"
FLOOR = 0.92
PARTS = 8  # sentences of a question that are compared one by one
READ = 2_000  # characters; more than MiniLM's 256 tokens
REMEMBERED = 4_096  # texts whose vectors are kept, 1.5 kB each

Vector = NDArray[np.float32]
Doubles = NDArray[np.float64]
Render = Callable[[Source], Collection[str]]  # the texts that the templates make of a record


# -- the trained parts


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="forbid")


class OnRecord(_Part):
    """Which questions a kind of record answers: a logistic regression over the question's embedding."""

    weights: tuple[float, ...]
    intercept: float

    def odds(self, question: Vector) -> float:
        """The log odds that the record answers, both cases weighed alike; NaN where it does not fit the vector."""
        fits = len(self.weights) == len(question)
        return float(np.asarray(self.weights) @ question) + self.intercept if fits else float("nan")


class Trained(_Part):
    """Scaler, logistic regression, calibration and stem weights, as `verifier.json` keeps them."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    calibration: tuple[float, float]  # of `calibrated`
    idf: dict[str, float]
    choice: tuple[float, ...] = ()  # weights of `FITS`, by which the sections found are compared; empty: they are not
    records: dict[str, OnRecord] = Field(default_factory=dict)  # by kind; a kind without is never told by itself
    precedents: str = ""  # SHA-256 of the file of labelled questions beside it, hex; empty: there are none
    embedder: str
    provenance: dict[str, Any] = Field(default_factory=dict)

    def probability(self, values: Sequence[float]) -> float:
        """Calibrated P(supported) of one feature vector; NaN where a feature is not finite."""
        scaled = (np.asarray(values) - np.asarray(self.mean)) / np.asarray(self.scale)
        score = float(scaled @ np.asarray(self.weights)) + self.intercept
        return calibrated(score, self.calibration)


def calibrated(score: float, calibration: tuple[float, float]) -> float:
    """P = 1 / (1 + exp(-(a·ln(1 + exp(score)) + b))); NaN where the score is not finite.

    Beta calibration (Kull et al. 2017) without its lower side: Platt's sigmoid with as many numbers, but flat where a
    low score says no more than "unlike", and so steeper where it matters.
    """
    margin = calibration[0] * softplus(score) + calibration[1]
    known = isfinite(score) and isfinite(margin)
    return 1.0 / (1.0 + exp(-max(min(margin, 50.0), -50.0))) if known else float("nan")


def softplus(score: float) -> float:
    """ln(1 + exp(score)), without overflow."""
    return max(score, 0.0) + log1p(exp(-abs(score)))


def read(directory: Path) -> tuple[Trained, str]:
    """The trained parts and the SHA-256 of their file, hex.

    Raises:
        NotTrained: there are none, or they are damaged or of another version.
    """
    path = directory / FILE
    try:
        data = path.read_bytes()
        trained = Trained.model_validate_json(data)
    except OSError:
        raise NotTrained(f"{path} is missing: run `sluice train gate SUITE`") from None
    except ValidationError:
        raise NotTrained(f"{path} is damaged: run `sluice train gate SUITE` again") from None
    sizes = {len(trained.mean), len(trained.scale), len(trained.weights), len(NAMES)}
    fitting = len(sizes) == 1 and len(trained.choice) in (0, len(FITS))
    if trained.names != NAMES or not fitting or not all(trained.scale):
        raise NotTrained(f"{path} is of another version: run `sluice train gate SUITE` again")
    return trained, hashlib.sha256(data).hexdigest()


# -- a reply as it is measured


@dataclass(frozen=True)
class Section:
    """A passage as it is embedded and compared."""

    whole: str  # under its heading
    heading: str  # plain
    text: str  # plain


@dataclass(frozen=True)
class Cited:
    """A sentence that cites a passage, with what its features are made of."""

    aligned: Aligned
    vetoes: tuple[str, ...]
    answer: str  # all that the reply quotes of this source, plain
    section: Section
    key: Key


@dataclass(frozen=True)
class Vectors:
    """The embeddings a reply needs, by text: one vector, or one per token."""

    whole: Mapping[str, Vector]
    tokens: Mapping[str, Vector]
    near: dict[tuple[str, str], Near] = field(default_factory=dict)  # found before: a reply's sentences share sections


def lay_out(sentences: Sequence[Sentence], sources: Sequence[Source]) -> tuple[Cited | None, ...]:
    """Each sentence beside its source; None where it cites no passage that is there."""
    passages = {(source.article_id, source.section_id): source for source in sources if not is_record(source)}
    cited = [_source_of(sentence, passages) for sentence in sentences]
    aligned = [align(s, source) if source else None for s, source in zip(sentences, cited, strict=True)]
    return tuple(_cited(at, aligned, cited) for at in range(len(sentences)))


def is_record(source: Source) -> bool:
    """Whether a source is a customer's record."""
    return source.article_id.startswith(RECORD)


def _source_of(sentence: Sentence, passages: Mapping[tuple[str, str | None], Source]) -> Source | None:
    citation = sentence.citation
    return passages.get((citation.article_id, citation.section_id)) if citation else None


def _cited(at: int, aligned: Sequence[Aligned | None], cited: Sequence[Source | None]) -> Cited | None:
    own, source = aligned[at], cited[at]
    if own is None or source is None:
        return None
    spans = [a.span for a, other in zip(aligned, cited, strict=True) if a and other is source]
    told = " ".join(before.quote for before in aligned[:at] if before)
    return Cited(
        aligned=own,
        vetoes=vetoes(own, told),
        answer=" ".join(dict.fromkeys(spans)),
        section=section_of(source),
        key=(source.article_id, source.section_id),
    )


@lru_cache(maxsize=REMEMBERED)
def section_of(source: Source) -> Section:
    """A passage as the verifier reads it."""
    whole = f"{source.heading}. {source.text}"  # as the local answerer embeds it: a shared cache serves both
    return Section(whole, plain(source.heading), plain(source.text))


@lru_cache(maxsize=64)
def parts_of(question: str) -> tuple[str, ...]:
    """The sentences of a question that say something, the longest ones of a long one."""
    said = [unit.text for unit in units_of(question) if len(content(unit.text)) > 1]
    return tuple(sorted(dict.fromkeys(said), key=len, reverse=True)[:PARTS]) or (asked_of(question),)


@lru_cache(maxsize=64)
def asked_of(question: str) -> str:
    """The question as it is embedded: plain, cut to what the embedder reads."""
    return plain(question)[:READ]


@dataclass(frozen=True)
class Needed:
    """The texts of a reply that have to be embedded; those of the help centre come again with other tickets."""

    own: frozenset[str]
    own_tokens: frozenset[str]
    help_centre: frozenset[str]
    help_centre_tokens: frozenset[str]


def needed(question: str, cited: Iterable[Cited], sources: Iterable[Source]) -> Needed:
    """What `measure` and `fits_of` will look up."""
    own, own_tokens = {asked_of(question), *parts_of(question)}, {asked_of(question)}
    for one in cited:
        own.add(one.answer)
        own_tokens |= {one.answer} if one.aligned.exact else {one.answer, one.aligned.said, one.aligned.span}
    sections = [section_of(source) for source in sources if not is_record(source)]
    texts, headings = {section.whole for section in sections}, {section.heading for section in sections}
    return Needed(frozenset(own), frozenset(own_tokens), frozenset(texts | headings), frozenset(texts))


def measure(
    question: str, one: Cited, vectors: Vectors, idf: Mapping[str, float], before: Before, share: float = 0.0
) -> tuple[float, ...]:
    """The feature vector of one cited sentence, in the order of `NAMES`."""
    asked = Asked(
        question=plain(question),
        answer=one.answer,
        near_answer=_near(question, one.answer, vectors),
        cited=_subject(question, one.section, vectors),
        before=before,
        share=share,
    )
    return features(one.aligned, asked, _token_precision(one.aligned, vectors.tokens), idf)


def fits_of(
    question: str, source: Source, vectors: Vectors, idf: Mapping[str, float], before: Before
) -> tuple[float, ...]:
    """How well a section fits the question, in the order of `FITS`."""
    return fits(plain(question), _subject(question, section_of(source), vectors), before, idf)


def shares(found: Sequence[Sequence[float]] | Doubles, choice: Sequence[float] | Doubles) -> Doubles:
    """The log of the probability that each of the sections answers, if one of them does: a softmax over weighted fits.

    Zeros where no weights were learned.
    """
    if not (len(choice) and len(found)):
        return np.zeros(len(found))
    scores = np.asarray(found, np.float64) @ np.asarray(choice)
    away = scores - scores.max()
    told: Doubles = away - np.log(np.exp(away).sum())
    return told


def _subject(question: str, section: Section, vectors: Vectors) -> Subject:
    return Subject(
        heading=section.heading,
        text=section.text,
        near=_near(question, section.whole, vectors),
        near_heading=float(vectors.whole[asked_of(question)] @ vectors.whole[section.heading]),
    )


def _near(question: str, text: str, vectors: Vectors) -> Near:
    key = question, text
    if key not in vectors.near:
        vectors.near[key] = _compared(question, text, vectors)
    return vectors.near[key]


def _compared(question: str, text: str, vectors: Vectors) -> Near:
    there = vectors.whole[text]
    tokens = vectors.tokens[asked_of(question)] @ vectors.tokens[text].T
    return Near(
        whole=float(vectors.whole[asked_of(question)] @ there),
        part=max(float(vectors.whole[part] @ there) for part in parts_of(question)),
        tokens_asked=_mean_of_best(tokens),
        tokens_told=_mean_of_best(tokens.T),
    )


def _token_precision(aligned: Aligned, tokens: Mapping[str, Vector]) -> float:
    return 1.0 if aligned.exact else _mean_of_best(tokens[aligned.said] @ tokens[aligned.span].T)


def _mean_of_best(cosines: Vector) -> float:
    """Mean over the rows of each row's highest cosine; 0 where one side has no token."""
    return float(cosines.max(axis=1).mean()) if cosines.size else 0.0


# -- the verifier


@dataclass(frozen=True)
class _Found:
    """A section among those found for a question."""

    before: Before
    share: float


def _no_templates(source: Source) -> Collection[str]:
    return ()


class LocalVerifier:
    """Is each sentence supported by what it quotes, and is it about the question? Every failure means no."""

    def __init__(
        self,
        trained: Trained,
        digest: str,
        embedder: Embedder,
        *,
        precedents: Precedents = NONE,
        floor: float = FLOOR,
        render: Render = _no_templates,
    ) -> None:
        self._trained = trained
        self._precedents = precedents
        self._embedder = embedder
        self._render = render
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="verifier")
        self._blas = ThreadpoolController()  # on a busy machine two BLAS threads wait for each other, 10 times as long
        self.name = f"local/verifier@{digest[:12]}"
        self.floor = floor

    @classmethod
    def load(
        cls, directory: Path, embedder: Embedder, *, floor: float = FLOOR, render: Render = _no_templates
    ) -> "LocalVerifier":
        """The verifier trained into `directory`. Without `render` no sentence about a record is supported.

        Raises:
            NotTrained: the trained parts are missing, damaged, or made with another embedder.
        """
        trained, digest = read(directory)
        if trained.embedder != embedder.name:
            raise NotTrained(f"{directory / FILE} was trained with {trained.embedder}, not {embedder.name}")
        precedents = read_precedents(directory, trained.precedents)
        return cls(trained, digest, embedder, precedents=precedents, floor=floor, render=render)

    async def verify(
        self, question: str, sentences: Sequence[Sentence], sources: Sequence[Source]
    ) -> tuple[SentenceCheck, ...]:
        """One finding per sentence, in order."""
        try:
            return await self._verify(question, sentences, sources)
        except (SluiceError, ArithmeticError, LookupError, OSError, RuntimeError, ValueError):
            return tuple(_no(sentence, "check-failed") for sentence in sentences)

    def close(self) -> None:
        """End the thread, after what it computes now."""
        self._executor.shutdown()

    async def _verify(
        self, question: str, sentences: Sequence[Sentence], sources: Sequence[Source]
    ) -> tuple[SentenceCheck, ...]:
        loop = asyncio.get_running_loop()
        cited = await loop.run_in_executor(self._executor, lay_out, sentences, sources)
        vectors = await self._vectors(question, [one for one in cited if one and not one.vetoes], sources)
        records = {source.article_id: source for source in sources if is_record(source)}

        def check() -> tuple[SentenceCheck, ...]:
            pairs = zip(sentences, cited, strict=True)
            with self._blas.limit(limits=1):
                measured = any(one and not one.vetoes for one in cited)
                found = self._compared(question, sources, vectors) if measured else {}
                return tuple(self._check(question, sentence, one, records, vectors, found) for sentence, one in pairs)

        return await loop.run_in_executor(self._executor, check)

    def _compared(self, question: str, sources: Sequence[Source], vectors: Vectors) -> Mapping[Key, _Found]:
        """Each section found beside the others."""
        sections = {(source.article_id, source.section_id): source for source in sources if not is_record(source)}
        asked = vectors.whole[asked_of(question)]
        before = [self._precedents.before(asked, key) for key in sections]
        idf = self._trained.idf
        fitting = [fits_of(question, s, vectors, idf, b) for s, b in zip(sections.values(), before, strict=True)]
        told = map(float, shares(fitting, self._trained.choice))
        return {key: _Found(b, share) for key, b, share in zip(sections, before, told, strict=True)}

    async def _vectors(self, question: str, cited: Sequence[Cited], sources: Sequence[Source]) -> Vectors:
        if not cited:  # records, or nothing to measure
            return Vectors(await embed(self._embedder, [asked_of(question)]), {})
        texts = needed(question, cited, sources)
        whole = await embed(self._embedder, sorted(texts.own | texts.help_centre))
        tokens = await embed_tokens(self._embedder, sorted(texts.own_tokens | texts.help_centre_tokens))
        return Vectors(whole, tokens)

    def _check(
        self,
        question: str,
        sentence: Sentence,
        one: Cited | None,
        records: Mapping[str, Source],
        vectors: Vectors,
        found: Mapping[Key, _Found],
    ) -> SentenceCheck:
        if sentence.citation is None:
            return _no(sentence, "no-citation")
        record = records.get(sentence.citation.article_id) if sentence.citation.section_id is None else None
        if record is not None:
            fired = record_vetoes(sentence, record, self._render(record), question)
            fired += self._off_question(record, vectors.whole[asked_of(question)])
            return _no(sentence, *fired) if fired else self._scored(sentence, 1.0)
        if one is None:
            return _no(sentence, "unknown-source")
        if one.vetoes:
            return _no(sentence, *one.vetoes)
        beside = found[one.key]
        values = measure(question, one, vectors, self._trained.idf, beside.before, beside.share)
        return self._scored(sentence, self._trained.probability(values))

    def _off_question(self, record: Source, question: Vector) -> tuple[str, ...]:
        """A veto where questions like this one are not answered by records of this kind, or that was never learned."""
        kind = record.article_id.removeprefix(RECORD).partition("/")[0]
        part = self._trained.records.get(kind)
        return () if part is not None and part.odds(question) > 0.0 else ("record-off-question",)

    def _scored(self, sentence: Sentence, score: float) -> SentenceCheck:
        if not isfinite(score):
            return _no(sentence, "no-score")
        return SentenceCheck(text=sentence.text, supported=score >= self.floor, score=score)


def _no(sentence: Sentence, *fired: str) -> SentenceCheck:
    return SentenceCheck(text=sentence.text, supported=False, score=0.0, vetoes=fired)


async def embed(embedder: Embedder, texts: Sequence[str]) -> dict[str, Vector]:
    """The vector of each text.

    Raises:
        ValueError: a vector is not finite, or the embedder gave too few.
    """
    rows = np.asarray(await embedder.embed(texts), np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("the embedder gave a vector that is not finite")
    return dict(zip(texts, rows, strict=True))


async def embed_tokens(embedder: Embedder, texts: Sequence[str]) -> dict[str, Vector]:
    """The token vectors of each text; one row, the whole text's, where the embedder gives no token vectors.

    Raises:
        ValueError: a vector is not finite, or the embedder gave too few.
    """
    if not isinstance(embedder, TokenEmbedder):
        return {text: row[np.newaxis, :] for text, row in (await embed(embedder, texts)).items()}
    rows = await embedder.embed_tokens(texts)
    if not all(np.isfinite(tokens).all() for tokens in rows):
        raise ValueError("the embedder gave a vector that is not finite")
    return dict(zip(texts, rows, strict=True))
