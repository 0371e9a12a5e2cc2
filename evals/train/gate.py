"""Fit the verifier: which sentences of a reply are supported by their source and answer the question.

Examples come from the train half of a suite. *Chosen* answers are what the answerer drafts of the sections found for a
labelled ticket: right where they cite an expected section and hold every expected fact. *Right* answers are drafted of
the expected section alone; where a suite has human answers, those of their sentences that restate the article are
right ones in other words. *Spoilt* answers are right ones with one fault each. Where a suite has few labelled tickets,
headings stand in for questions.

Vetoes run first; the regression is fitted on what they let pass. It is calibrated (Platt 1999) on scores by
cross-fitting over customers: an answer's worst sentence against whether the whole answer is right, of the chosen
answers at their natural rate. P is then the share of right ones among what this answerer, on this help centre, really
puts before the gate, and the gate's floor on the worst sentence means what it says.

Limits. The faults are made by rule, so the catch rates say nothing of faults nobody thought of. Near copies with any
changed word are vetoed, but a free paraphrase that negates, or swaps roles, in other words can pass. Whether a section
answers is judged by small embeddings and word overlap: a section on nearly the same subject can pass. Chosen answers
number in the hundreds: the floor is no bound on the rate of bad answers, a certificate is.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TypedDict

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evals.dataset import LabelledTicket, Suite, halves
from evals.scorers import contains
from evals.train.corruptions import spoil
from infra.knowledge import read_articles
from infra.models.extractive import LocalExtractive
from infra.models.verifier import (
    FILE,
    FLOOR,
    Cited,
    Trained,
    Vector,
    Vectors,
    embed,
    embed_tokens,
    lay_out,
    measure,
    needed,
)
from processors.errors import ModelFailed
from processors.groundedness.features import NAMES
from processors.groundedness.text import content, plain, units_of
from processors.ports import Embedder, Model, Prompt, Source
from processors.resolution import DraftReply, DraftRequest, ShownPassage
from schemas.resolution import Citation, Sentence

TICKETS = 160  # labelled tickets at most, out-of-scope ones included
LARGE, TICKETS_OF_LARGE = 400, 60  # sections from which a help centre is large: each ticket there takes longer
FOUND = 8  # sections a question is answered from, as retrieval gives by default
FEW = 60  # below this many labelled tickets, headings stand in for questions
FOLDS = 5
STOPPED = 0.1  # share of good sentences stopped at the second operating point
NATURAL = 3.0  # weight of answers as they were drafted, against made-up ones
ENOUGH = 15  # right and wrong chosen answers needed to calibrate on them
SOURCE = 0.3  # cosine below which a section is no source, as the retrieval threshold
Matrix = NDArray[np.float64]


class Caught(TypedDict):
    """How many answers with one kind of fault are stopped."""

    kind: str
    n: int
    by_veto: int
    at_floor: int  # vetoes included
    at_tenth: int  # at the threshold that stops a tenth of the good sentences


@dataclass(frozen=True)
class GateReport:
    """How good the fitted verifier is, by cross-fitting over customers. Counts are of whole answers."""

    suite: str
    split: str  # how train and held-out tickets were parted
    tickets: int  # labelled ones it was fitted on
    sentences: int  # fitted on, after the vetoes
    auroc: float | None  # of sentences after the vetoes
    auroc_chosen: float | None  # of chosen answers, by their worst sentence
    floor: float
    chosen: int  # answers the answerer chose
    chosen_right: int
    chosen_right_passed: int  # at the floor
    chosen_wrong_passed: int
    right: int  # answers of the expected section alone
    right_passed: int
    caught: tuple[Caught, ...]
    calibrated_on: str
    digest: str  # SHA-256 of the written file

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> tuple[str, ...]:
        """The report in words."""
        wrong = self.chosen - self.chosen_right
        return (
            f"{self.suite}: {self.tickets} tickets, {self.sentences} sentences ({self.split})",
            f"AUROC {_shown(self.auroc)} of sentences, {_shown(self.auroc_chosen)} of chosen answers",
            f"at the floor of {self.floor} pass {self.chosen_right_passed} of {self.chosen_right} right chosen ones, "
            f"{self.chosen_wrong_passed} of {wrong} wrong ones, and {self.right_passed} of {self.right} answers of the "
            f"expected section (calibrated on {self.calibrated_on})",
            *(
                f"caught, {c['kind']}: {c['at_floor']} of {c['n']} at the floor ({c['by_veto']} by veto), "
                f"{c['at_tenth']} where a tenth of the good is stopped"
                for c in self.caught
            ),
        )


def train_gate(
    suite: Suite,
    out_dir: Path,
    embedder: Embedder,
    *,
    progress: Callable[[str], None],
    answerer: Model | None = None,
) -> GateReport:
    """Fit the verifier on the train half of a suite and write `verifier.json`; without an answerer the local one.

    Raises:
        ValueError: the suite has no tickets or sections to make right and wrong answers of.
    """
    kept = Kept(embedder)
    with threadpool_limits(1):  # small matrices: a second thread costs more than it brings
        return asyncio.run(_train(suite, out_dir, kept, answerer or LocalExtractive(kept), progress))


async def _train(
    suite: Suite, out_dir: Path, embedder: Embedder, answerer: Model, progress: Callable[[str], None]
) -> GateReport:
    parted = halves(suite)
    library = await Library.of(_sections(suite), embedder)
    progress(f"{len(library.sources)} sections read")
    maker = Maker(library, answerer, embedder, suite.references)
    examples = await maker.examples(_sample(parted.train, library), progress)
    progress(f"{len(examples)} answers made")
    rows = await _measured(examples, embedder, library.idf)
    progress(f"{len(rows)} sentences measured")
    fitted = _fit(rows, examples)
    report = _report(suite, parted.rule, examples, rows, fitted)
    digest = _write(out_dir, fitted, library, embedder, report)
    return replace(report, digest=digest)


class Kept:
    """An embedder that computes each text once: every question is answered from several sections."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._rows: dict[str, list[float]] = {}
        self.name = embedder.name
        self.dimensions = embedder.dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        self._rows.update(zip(new, await self._embedder.embed(new), strict=True))
        return [self._rows[text] for text in texts]

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vector]:
        """The token vectors of each text, as the embedder gives them, else its one vector."""
        rows = await embed_tokens(self._embedder, texts)
        return [rows[text] for text in texts]


# -- the help centre


def _sections(suite: Suite) -> tuple[Source, ...]:
    articles = [article for path in suite.articles for article in read_articles(path)]
    current = [article for article in articles if article.valid_to is None and article.audience == "public"]
    return tuple(
        Source(article.id, section.id, section.text, f"{article.title}: {section.heading}")
        for article in current
        for section in article.sections
    )


@dataclass(frozen=True)
class Library:
    """The sections of a help centre, searched as retrieval does: by meaning and by words, ranks fused."""

    sources: tuple[Source, ...]
    vectors: Matrix
    stems: tuple[frozenset[str], ...]
    idf: Mapping[str, float]

    @classmethod
    async def of(cls, sources: Sequence[Source], embedder: Embedder) -> "Library":
        """Embed the sections."""
        texts = [f"{source.heading}\n{source.text}"[:2_000] for source in sources]
        stems = tuple(frozenset(content(plain(text))) for text in texts)
        counts = Counter(stem for text in stems for stem in text)
        idf = {stem: math.log((1 + len(texts)) / count) for stem, count in counts.items()}
        return cls(tuple(sources), np.asarray(await embedder.embed(texts), float), stems, idf)

    def find(self, vector: Matrix, question: str) -> tuple[Source, ...]:
        """The best sections, best first (reciprocal rank fusion, Cormack et al. 2009)."""
        asked = set(content(plain(question)))
        cosines = self.vectors @ vector
        overlap = np.array([sum(self.idf[stem] for stem in asked & stems) for stems in self.stems])
        ranks = [np.argsort(np.argsort(-scores, kind="stable")) for scores in (cosines, overlap)]
        fused = sum(1.0 / (60 + rank) for rank in ranks)
        best = [at for at in np.argsort(-fused, kind="stable") if cosines[at] >= SOURCE]
        return tuple(self.sources[at] for at in best[:FOUND])

    def expected(self, ticket: LabelledTicket) -> tuple[Source, ...]:
        """The sections that a label names; all of an article's where it names no section."""
        wanted = {(e.article_id, e.section_id) for e in ticket.expected_sources if e.role == "answer"}
        keys = [{(source.article_id, source.section_id), (source.article_id, None)} for source in self.sources]
        return tuple(source for source, key in zip(self.sources, keys, strict=True) if wanted & key)


def _sample(tickets: Sequence[LabelledTicket], library: Library) -> tuple[LabelledTicket, ...]:
    """Labelled tickets in an order that no list order biases: those with an answer, and those out of scope."""
    shuffled = sorted(tickets, key=lambda ticket: sha256(ticket.id.encode()).digest())
    answered = [ticket for ticket in shuffled if library.expected(ticket)]
    nothing = [ticket for ticket in shuffled if ticket.out_of_scope and not ticket.expected_sources]
    most = TICKETS if len(library.sources) < LARGE else TICKETS_OF_LARGE
    unanswerable = nothing[: most // 5]
    return (*unanswerable, *answered[: most - len(unanswerable)])


# -- the examples


@dataclass(frozen=True)
class Example:
    """An answer to a question, with a label per sentence. None is a sentence that teaches nothing."""

    kind: str  # chosen, right, restated, or the fault
    group: str
    question: str
    sentences: tuple[Sentence, ...]
    sources: tuple[Source, ...]
    labels: tuple[bool | None, ...]
    right: bool  # the whole answer


class Maker:
    """Makes answers to labelled questions: chosen, right and spoilt ones."""

    def __init__(self, library: Library, answerer: Model, embedder: Embedder, references: Mapping[str, str]) -> None:
        self._library = library
        self._answerer = answerer
        self._embedder = embedder
        self._references = references

    async def examples(self, tickets: Sequence[LabelledTicket], progress: Callable[[str], None]) -> tuple[Example, ...]:
        """All answers to the tickets and, where they are few, to headings."""
        made: list[Example] = []
        for number, ticket in enumerate(tickets, 1):
            made += await self._of_ticket(ticket)
            if number % 50 == 0:
                progress(f"{number} of {len(tickets)} tickets answered")
        if sum(bool(self._library.expected(ticket)) for ticket in tickets) < FEW:
            for source in _spread(self._library.sources, FEW):
                made += await self._of_heading(source)
        return tuple(made)

    async def _of_ticket(self, ticket: LabelledTicket) -> list[Example]:
        random = Random(ticket.id)
        question = ticket.text
        expected = self._library.expected(ticket)
        vector = np.asarray((await self._embedder.embed([plain(question)[:2_000]]))[0], float)
        found = self._library.find(vector, question)
        base = Example("chosen", ticket.group, question, (), found, (), right=False)
        made = [_judged(base, await self._draft(question, found), expected, ticket.expected_facts)] if found else []
        if expected:
            best = await self._best(expected, self._references.get(ticket.id) or question)
            made += await self._about(replace(base, sources=_first(best, found)), best, ticket, random)
        return [example for example in made if example.sentences]

    async def _about(self, base: Example, best: Source, ticket: LabelledTicket, random: Random) -> list[Example]:
        """The right answer of a section, and what is wrong in its place."""
        sentences = await self._draft(base.question, (best,))
        right = _judged(replace(base, kind="right"), sentences, (best,), ticket.expected_facts)
        reference = self._references.get(ticket.id, "")
        spoilt = self._spoilt(right, random) if right.right else []
        return [right, *_restated(base, best, reference), *spoilt, *await self._misplaced(base, ticket, random)]

    def _spoilt(self, right: Example, random: Random) -> list[Example]:
        at = random.randrange(len(right.sentences))
        others = [unit.text for source in random.sample(self._library.sources, 2) for unit in units_of(source.text)]
        return [
            _with_fault(right, at, spoilt.kind, spoilt.sentence)
            for spoilt in spoil(right.sentences[at], others, random)
        ]

    async def _misplaced(self, base: Example, ticket: LabelledTicket, random: Random) -> list[Example]:
        """Answers drafted of sections that do not answer: of the same article, of the nearest others, of any."""
        expected = self._library.expected(ticket)
        articles = {source.article_id for source in expected}
        siblings = [s for s in self._library.sources if s.article_id in articles and s not in expected]
        near = [source for source in base.sources if source not in expected][:2]
        far = [source for source in self._library.sources if source.article_id not in articles]
        chosen = [
            *(("wrong-section-same-article", source) for source in random.sample(siblings, min(1, len(siblings)))),
            *(("wrong-section", source) for source in near),
            *(("off-topic", source) for source in random.sample(far, min(1, len(far)))),
        ]
        return [await self._wrong(base, kind, source) for kind, source in chosen]

    async def _wrong(self, base: Example, kind: str, source: Source) -> Example:
        sentences = await self._draft(base.question, (source,))
        sources = _first(source, base.sources)
        return replace(base, kind=kind, sentences=sentences, sources=sources, labels=(False,) * len(sentences))

    async def _of_heading(self, source: Source) -> list[Example]:
        """A heading asked as a question. It is left out of what is compared, or the question would hold its answer."""
        title, _, heading = source.heading.rpartition(": ")
        bare = replace(source, heading=title)
        vector = np.asarray((await self._embedder.embed([heading]))[0], float)
        rivals = [rival for rival in self._library.find(vector, heading) if rival != source]
        base = Example("heading", source.article_id, heading, (), _first(bare, rivals), (), right=True)
        sentences = await self._draft(heading, (bare,))
        good = replace(base, sentences=sentences, labels=(True,) * len(sentences))
        wrong = [await self._wrong(base, "wrong-section", rival) for rival in rivals[:2]]
        spoilt = self._spoilt(good, Random(heading)) if sentences else []
        return [example for example in (good, *spoilt, *wrong) if example.sentences]

    async def _best(self, sources: Sequence[Source], asked: str) -> Source:
        """Of the sections that may answer, the one nearest to the human answer, else to the question."""
        if len(sources) == 1:
            return sources[0]
        rows = np.asarray(await self._embedder.embed([asked[:2_000], *(s.text[:2_000] for s in sources)]), float)
        return sources[int(np.argmax(rows[1:] @ rows[0]))]

    async def _draft(self, question: str, sources: Sequence[Source]) -> tuple[Sentence, ...]:
        request = DraftRequest(question=question, passages=tuple(map(_shown_passage, sources)))
        try:
            prompt = Prompt(system="", user=request.model_dump_json(), hash="")
            reply = (await self._answerer.complete(prompt, DraftReply, 60.0)).value
        except ModelFailed:
            return ()
        return tuple(
            Sentence(text=s.text, citation=Citation(article_id=s.article_id, section_id=s.section_id, quote=s.quote))
            for s in reply.sentences
        )


def _shown_passage(source: Source) -> ShownPassage:
    title, _, heading = source.heading.partition(": ")
    return ShownPassage(
        article_id=source.article_id,
        section_id=source.section_id or "",
        title=title,
        heading=heading,
        text=source.text,
    )


def _judged(
    base: Example, sentences: tuple[Sentence, ...], expected: Sequence[Source], facts: Sequence[str]
) -> Example:
    """Label a drafted answer: right where it cites what was expected and holds every fact that was."""
    keys = {(source.article_id, source.section_id) for source in expected}
    fits = [s.citation is not None and (s.citation.article_id, s.citation.section_id) in keys for s in sentences]
    text = " ".join(sentence.text for sentence in sentences)
    whole = all(contains(text, fact) for fact in facts)
    return replace(base, sentences=sentences, labels=tuple(fit and whole for fit in fits), right=any(fits) and whole)


def _with_fault(right: Example, at: int, kind: str, sentence: Sentence) -> Example:
    sentences = (*right.sentences[:at], sentence, *right.sentences[at + 1 :])
    labels = tuple(False if place == at else None for place in range(len(sentences)))
    return replace(right, kind=kind, sentences=sentences, labels=labels, right=False)


def _restated(base: Example, best: Source, reference: str) -> Iterator[Example]:
    """The sentences of a human answer that say, in other words, what a sentence of the article says."""
    units = [unit.text for unit in units_of(best.text)]
    for said in (unit.text for unit in units_of(reference)):
        stems = set(content(said))
        overlap = [len(stems & set(content(unit))) / max(len(stems), 1) for unit in units]
        if len(stems) >= 4 and max(overlap, default=0.0) >= 0.6:
            quote = units[int(np.argmax(overlap))]
            citation = Citation(article_id=best.article_id, section_id=best.section_id, quote=quote)
            sentence = Sentence(text=said, citation=citation)
            yield replace(base, kind="restated", sentences=(sentence,), labels=(True,), right=True)


def _first(source: Source, others: Iterable[Source]) -> tuple[Source, ...]:
    key = (source.article_id, source.section_id)
    return (source, *[o for o in others if (o.article_id, o.section_id) != key][: FOUND - 1])


def _spread(sources: Sequence[Source], count: int) -> Sequence[Source]:
    return sources if len(sources) <= count else [sources[at * len(sources) // count] for at in range(count)]


# -- measuring


@dataclass(frozen=True)
class Measured:
    """A sentence of an example with its features, or the vetoes that stopped it."""

    example: int
    at: int
    label: bool | None
    vetoes: tuple[str, ...]
    values: tuple[float, ...]  # empty where a veto fired


async def _measured(examples: Sequence[Example], embedder: Embedder, idf: Mapping[str, float]) -> tuple[Measured, ...]:
    laid = [lay_out(example.sentences, example.sources) for example in examples]
    vectors = await _vectors(examples, laid, embedder)
    return tuple(
        _measure(number, at, example, one, vectors, idf)
        for number, (example, cited) in enumerate(zip(examples, laid, strict=True))
        for at, one in enumerate(cited)
    )


async def _vectors(examples: Sequence[Example], laid: Sequence[Sequence[Cited | None]], embedder: Embedder) -> Vectors:
    whole: set[str] = set()
    tokens: set[str] = set()
    for example, cited in zip(examples, laid, strict=True):
        texts = needed(example.question, [one for one in cited if one and not one.vetoes])
        whole |= texts.own | texts.help_centre
        tokens |= texts.own_tokens | texts.help_centre_tokens
    return Vectors(await embed(embedder, sorted(whole)), await embed_tokens(embedder, sorted(tokens)))


def _measure(
    number: int, at: int, example: Example, one: Cited | None, vectors: Vectors, idf: Mapping[str, float]
) -> Measured:
    vetoes = one.vetoes if one else ("unknown-source",)
    values = measure(example.question, one, vectors, idf) if one and not vetoes else ()
    return Measured(number, at, example.labels[at], vetoes, values)


# -- fitting


@dataclass(frozen=True)
class Table:
    """The labelled sentences that no veto stopped, as arrays."""

    rows: tuple[int, ...]  # their places in the list of measured sentences
    values: Matrix
    labels: Matrix  # 1 supported, 0 not
    groups: tuple[str, ...]
    weights: Matrix  # answers as they were drafted weigh more than made-up ones

    @classmethod
    def of(cls, rows: Sequence[Measured], examples: Sequence[Example]) -> "Table":
        """Leave out what is vetoed or not labelled."""
        kept = [at for at, row in enumerate(rows) if row.values and row.label is not None]
        owners = [examples[rows[at].example] for at in kept]
        return cls(
            rows=tuple(kept),
            values=np.array([rows[at].values for at in kept]),
            labels=np.array([float(bool(rows[at].label)) for at in kept]),
            groups=tuple(owner.group for owner in owners),
            weights=np.array([NATURAL if owner.kind in ("chosen", "right") else 1.0 for owner in owners]),
        )


@dataclass(frozen=True)
class Regression:
    """Standardised features, and the weights of a logistic regression over them."""

    mean: Matrix
    scale: Matrix
    weights: Matrix
    intercept: float

    @classmethod
    def of(cls, values: Matrix, labels: Matrix, weights: Matrix) -> "Regression":
        """Fit with an L2 penalty, both classes of equal weight."""
        mean, spread = values.mean(axis=0), values.std(axis=0)
        scale = np.where(spread > 1e-9, spread, 1.0)
        model = LogisticRegression(C=0.05, class_weight="balanced", max_iter=5_000)
        model.fit((values - mean) / scale, labels, weights)
        return cls(mean, scale, model.coef_[0], float(model.intercept_[0]))

    def score(self, values: Matrix) -> Matrix:
        """The log odds of each row."""
        scores: Matrix = (values - self.mean) / self.scale @ self.weights + self.intercept
        return scores


@dataclass(frozen=True)
class Fitted:
    """The regression on all sentences, and each one's probability by a regression that has not seen its customer."""

    table: Table
    regression: Regression
    platt: tuple[float, float]
    calibrated_on: str
    probabilities: Mapping[int, float]  # by place in the list of measured sentences


def _fit(rows: Sequence[Measured], examples: Sequence[Example]) -> Fitted:
    table = Table.of(rows, examples)
    if len(set(table.labels)) < 2 or len(set(table.groups)) < FOLDS:
        raise ValueError("the suite gives no right and wrong answers of enough customers to learn from")
    scores = np.zeros(len(table.labels))
    for seen, unseen in GroupKFold(FOLDS).split(table.values, table.labels, table.groups):
        fold = Regression.of(table.values[seen], table.labels[seen], table.weights[seen])
        scores[unseen] = fold.score(table.values[unseen])
    platt, calibrated_on = _calibrate(rows, examples, table, scores)
    probabilities = 1.0 / (1.0 + np.exp(-(platt[0] * scores + platt[1])))
    return Fitted(
        table=table,
        regression=Regression.of(table.values, table.labels, table.weights),
        platt=platt,
        calibrated_on=calibrated_on,
        probabilities=dict(zip(table.rows, map(float, probabilities), strict=True)),
    )


def _calibrate(
    rows: Sequence[Measured], examples: Sequence[Example], table: Table, scores: Matrix
) -> tuple[tuple[float, float], str]:
    """Platt's two numbers: of an answer's worst sentence to whether the whole answer is right.

    On chosen answers at their natural rate; where those are too few of either kind, on all sentences, balanced.
    """
    worst: dict[int, float] = {}
    for place, score in zip(table.rows, scores, strict=True):
        number = rows[place].example
        if examples[number].kind == "chosen":
            worst[number] = min(worst.get(number, math.inf), float(score))
    labels = np.array([float(examples[number].right) for number in worst])
    if min(labels.sum(), len(labels) - labels.sum()) >= ENOUGH:
        return _platt(np.array(list(worst.values())), labels, np.ones_like(labels)), "chosen answers, natural rate"
    share = table.labels.mean()
    balanced = np.where(table.labels == 1.0, 1 - share, share)
    return _platt(scores, table.labels, balanced), "all sentences, right and wrong weighted alike"


def _platt(scores: Matrix, labels: Matrix, weights: Matrix) -> tuple[float, float]:
    """Fit P = 1 / (1 + exp(-(a·score + b))) to Platt's smoothed targets; a flat P where the scores do not rank."""
    right, wrong = weights[labels == 1.0].sum(), weights[labels == 0.0].sum()
    target = np.where(labels == 1.0, (right + 1) / (right + 2), 1 / (wrong + 2))
    model = LogisticRegression(C=1e6, max_iter=5_000)
    model.fit(
        np.concatenate([scores, scores])[:, np.newaxis],
        np.concatenate([np.ones_like(labels), np.zeros_like(labels)]),
        sample_weight=np.concatenate([weights * target, weights * (1 - target)]),
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (slope, offset) if slope > 0 else (0.0, math.log((right + 1) / (wrong + 1)))


# -- the report


def _report(
    suite: Suite, rule: str, examples: Sequence[Example], rows: Sequence[Measured], fitted: Fitted
) -> GateReport:
    worst = _worst(examples, rows, fitted)
    chosen = [(worst[at], example.right) for at, example in enumerate(examples) if example.kind == "chosen"]
    right = [worst[at] for at, example in enumerate(examples) if example.kind == "right" and example.right]
    table = fitted.table
    good = [fitted.probabilities[row] for row, label in zip(table.rows, table.labels, strict=True) if label]
    return GateReport(
        suite=suite.name,
        split=rule,
        tickets=sum(example.kind == "chosen" for example in examples),
        sentences=len(table.rows),
        auroc=_auroc([fitted.probabilities[row] for row in table.rows], [bool(label) for label in table.labels]),
        auroc_chosen=_auroc([score for score, _ in chosen], [label for _, label in chosen]),
        floor=FLOOR,
        chosen=len(chosen),
        chosen_right=sum(label for _, label in chosen),
        chosen_right_passed=sum(label and score >= FLOOR for score, label in chosen),
        chosen_wrong_passed=sum(not label and score >= FLOOR for score, label in chosen),
        right=len(right),
        right_passed=sum(score >= FLOOR for score in right),
        caught=_caught(examples, rows, fitted, float(np.quantile(good, STOPPED))),
        calibrated_on=fitted.calibrated_on,
        digest="",
    )


def _worst(examples: Sequence[Example], rows: Sequence[Measured], fitted: Fitted) -> list[float]:
    """The score of each answer: its worst sentence's, 0 where a veto fired."""
    worst = [1.0] * len(examples)
    for at, row in enumerate(rows):
        score = fitted.probabilities.get(at, 1.0 if row.label is None and not row.vetoes else 0.0)
        worst[row.example] = min(worst[row.example], score)
    return worst


def _caught(examples: Sequence[Example], rows: Sequence[Measured], fitted: Fitted, tenth: float) -> tuple[Caught, ...]:
    """By kind of fault: an answer is caught by a veto or by its worst faulty sentence."""
    vetoed: dict[str, list[bool]] = {}
    scores: dict[str, list[float]] = {}
    by_example: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        if row.label is False:
            by_example.setdefault(row.example, []).append(at)
    for number, places in by_example.items():
        kind = examples[number].kind
        if kind in ("chosen", "right"):
            kind = "wrong-section, chosen" if kind == "chosen" else "fact-missing"
        if not examples[number].right:
            vetoed.setdefault(kind, []).append(any(rows[at].vetoes for at in places))
            scores.setdefault(kind, []).append(min(fitted.probabilities.get(at, 0.0) for at in places))
    return tuple(
        Caught(
            kind=kind,
            n=len(scores[kind]),
            by_veto=sum(vetoed[kind]),
            at_floor=sum(score < FLOOR for score in scores[kind]),
            at_tenth=sum(score < tenth for score in scores[kind]),
        )
        for kind in sorted(scores)
    )


def _auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    return float(roc_auc_score(labels, scores)) if len(set(labels)) == 2 else None


def _shown(auroc: float | None) -> str:
    return "-" if auroc is None else f"{auroc:.3f}"


def _write(out_dir: Path, fitted: Fitted, library: Library, embedder: Embedder, report: GateReport) -> str:
    """Write the trained parts whole or not at all; their SHA-256, hex."""
    regression = fitted.regression
    trained = Trained(
        names=NAMES,
        mean=tuple(map(float, regression.mean)),
        scale=tuple(map(float, regression.scale)),
        weights=tuple(map(float, regression.weights)),
        intercept=regression.intercept,
        platt=fitted.platt,
        idf={stem: round(weight, 4) for stem, weight in sorted(library.idf.items())},
        embedder=embedder.name,
        provenance={**asdict(report), "scikit-learn": sklearn.__version__},
    )
    data = trained.model_dump_json(indent=1).encode()
    out_dir.mkdir(parents=True, exist_ok=True)
    part = out_dir / f"{FILE}.part"
    part.write_bytes(data)
    part.replace(out_dir / FILE)
    return sha256(data).hexdigest()
