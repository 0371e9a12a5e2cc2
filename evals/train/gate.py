"""Fit the verifier: which sentences of a reply are supported by their source and answer the question.

Examples come from the train half of a suite. *Chosen* answers are what the answerer drafts of the sections found for a
labelled ticket: right where they cite an expected section and hold every expected fact. *Right* answers are drafted of
the expected section alone; where a suite has human answers, those of their sentences that restate the article are
right ones in other words. *Spoilt* answers are right ones with one fault each. Where a suite has few labelled tickets,
headings stand in for questions.

Vetoes run first; the regression is fitted on what they let pass. It is calibrated on scores by cross-fitting over
customers: an answer's worst sentence against whether the whole answer is right, of the chosen answers at their natural
rate. P is then the share of right ones among what this answerer, on this help centre, really puts before the gate, and
the gate's floor on the worst sentence means what it says. Answers from records are `records`' part.

Limits. The faults are made by rule, so the catch rates say nothing of faults nobody thought of. Near copies with any
changed word are vetoed, but a free paraphrase that negates, or swaps roles, in other words can pass. Whether a section
answers is judged by small embeddings and word overlap: a section on nearly the same subject can pass. Chosen answers
number in the hundreds: the floor is no bound on the rate of bad answers, a certificate is.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evals.dataset import LabelledTicket, Suite, halves
from evals.train.answers import Example, Kept, Library, Maker, sample, sections_of
from evals.train.choice import likeliest
from evals.train.records import RecordFigures, Records, learn_records
from evals.train.retrieval import article_model, labelled, often, train_retrieval
from infra.models.extractive import LocalExtractive
from infra.models.precedents import Given, Key, Precedent, Precedents, precedents_of
from infra.models.verifier import (
    FILE,
    FLOOR,
    Cited,
    Trained,
    Vectors,
    asked_of,
    calibrated,
    embed,
    embed_tokens,
    fits_of,
    lay_out,
    measure,
    needed,
    shares,
    softplus,
)
from processors.groundedness.features import FITS, NAMES, Before
from processors.groundedness.vetoes import RECORD
from processors.ports import Embedder, Model, Source
from schemas.retrieval import Passage
from schemas.router import Band

FOLDS = 5
STOPPED = 0.1  # share of good answers stopped at the second operating point
FLAT = 1e-6  # slope of a P that says the rate alone, and still tells planted faults from good answers by their order
NEAR = 0.01  # what it costs a weight of the choice to leave zero, by its square
NATURAL = 3.0  # weight of answers as they were drafted, against made-up ones
ENOUGH = 15  # right and wrong chosen answers needed to calibrate on them
TELLING = 30  # best chosen answers by which topics are judged, where fewer pass
DRAFTED = ("chosen", "right", "heading")  # kinds of good answers that the answerer drafted whole
Matrix = NDArray[np.float64]
Found = Mapping[str, Sequence[Passage]]  # by ticket


class Caught(TypedDict):
    """How many answers with one kind of fault are stopped."""

    kind: str
    n: int
    by_veto: int
    at_floor: int  # vetoes included
    at_tenth: int  # at the threshold that stops a tenth of the good answers


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
    records: RecordFigures
    caught: tuple[Caught, ...]
    calibrated_on: str
    digest: str  # SHA-256 of the written file
    stopped: frozenset[str] = frozenset()  # questions without an answer, or whose one neither passes nor is a best one

    def summary(self) -> dict[str, object]:
        """All figures; nothing that customers wrote."""
        return {name: value for name, value in asdict(self).items() if name != "stopped"}

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
            f"of answers from records pass {self.records['right_passed']} of {self.records['right']} right ones and "
            f"{self.records['wrong_passed']} of {self.records['wrong']} wrong ones",
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
    found: Found | None = None,
) -> GateReport:
    """Fit the verifier on the train half of a suite and write `verifier.json`; without an answerer the local one.

    `found` are the passages of its tickets, ordered by what was learned of other customers. Without them the ranking is
    trained as well (`ranker.npz`): it and what judges its answers belong together.

    Raises:
        ValueError: the suite has no tickets or sections to make right and wrong answers of.
    """
    kept = Kept(embedder)
    with threadpool_limits(1):  # small matrices: a second thread costs more than it brings
        return asyncio.run(_train(suite, out_dir, kept, answerer or LocalExtractive(kept), progress, found))


async def _train(
    suite: Suite,
    out_dir: Path,
    embedder: Embedder,
    answerer: Model,
    progress: Callable[[str], None],
    found: Found | None,
) -> GateReport:
    parted = halves(suite)
    tickets = labelled(suite, parted)
    library = await Library.of(sections_of(suite), embedder)
    progress(f"{len(library.sources)} sections read")
    passages = await _found(suite, out_dir, embedder) if found is None else found
    given = {name: library.as_found(ones) for name, ones in passages.items()}
    sampled = sample(tickets, library)
    examples = await Maker(library, answerer, embedder, suite.references, given).examples(sampled, progress)
    progress(f"{len(examples)} answers made")
    known = await Known.of(tickets, embedder)
    rows, pools = await _measured(examples, embedder, library.idf, known)
    progress(f"{len(rows)} sentences measured")
    fitted = _fit(rows, examples, pools)
    records = await learn_records(suite, parted.train, embedder)
    report = _report(suite, parted.rule, examples, rows, fitted, records)
    digest = _write(out_dir, fitted, records, known.precedents, library, embedder, report)
    answered = {example.question for example in examples if example.kind == "chosen"}
    unanswered = {ticket.text for ticket in sampled} - answered
    return replace(report, digest=digest, stopped=report.stopped | unanswered)


async def _found(suite: Suite, directory: Path, embedder: Embedder) -> Found:
    """The passages as retrieval orders them, which learns it now; nothing where it has too little to learn from."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return (await train_retrieval(suite, directory, embedder)).found
    except ValueError:
        return {}


# -- measuring


@dataclass(frozen=True)
class Known:
    """The labelled questions of the train half, and whose each is: a customer's own ones are no precedents for it."""

    precedents: Precedents
    by_fold: tuple[Precedents, ...]  # the same, by what the questions of other folds tell of articles
    groups: NDArray[np.str_]
    texts: NDArray[np.str_]

    @classmethod
    async def of(cls, tickets: Sequence[LabelledTicket], embedder: Embedder) -> "Known":
        """Embed them. What a label only supports, or answers from records, is left out."""
        known = [found for ticket in tickets if (found := _precedent(ticket)) is not None]
        precedents = precedents_of(known, await embedder.embed([one.text for one in known]))
        folds = np.array([_fold(one.group) for one in known[: len(precedents.answered)]], int)
        return cls(
            replace(precedents, given=_given(precedents, folds >= 0)),
            tuple(replace(precedents, given=_given(precedents, folds != fold)) for fold in range(FOLDS)),
            np.array([one.group for one in known], np.str_),
            np.array([one.text for one in known], np.str_),
        )

    def before(self, example: Example, key: Key, vectors: Vectors) -> Before:
        """What answered questions like the example's, of other customers and in other words."""
        asked = asked_of(example.question)
        apart = (self.groups == example.group) | (self.texts == asked)
        others = self.by_fold[_fold(example.group)]
        return others.before(vectors.whole[asked], key, apart[: len(others.answered)])


def _fold(group: str) -> int:
    return int.from_bytes(sha256(group.encode()).digest()[:4]) % FOLDS


def _given(precedents: Precedents, seen: NDArray[np.bool_]) -> Given:
    """Which article answers what, of the questions seen; nothing where they do not tell."""
    answered = [
        (vector, {article for article, _ in keys})
        for vector, keys, known in zip(precedents.vectors, precedents.answered, seen, strict=True)
        if keys and known
    ]
    if not often([articles for _, articles in answered]):
        return Given()
    return Given(*article_model([(vector.astype(np.float64), articles) for vector, articles in answered]))


def _precedent(ticket: LabelledTicket) -> Precedent | None:
    """A ticket as a precedent; None where its label says nothing of what answers it."""
    sources = [source for source in ticket.expected_sources if source.role == "answer"]
    sections = frozenset((s.article_id, s.section_id) for s in sources if not s.article_id.startswith(RECORD))
    if (sources and not sections) or (not sources and ticket.expected_band in (None, Band.AUTO)):
        return None
    return Precedent(asked_of(ticket.text), ticket.group, sections) if ticket.text else None


@dataclass(frozen=True)
class Measured:
    """A sentence of an example with its features, or the vetoes that stopped it."""

    example: int
    label: bool | None
    vetoes: tuple[str, ...]
    values: tuple[float, ...]  # without its section's share of what was found; empty where a veto fired
    key: Key | None  # the section it cites


@dataclass(frozen=True)
class Pool:
    """The sections that an example's answer was chosen from, each with how it fits the question."""

    keys: tuple[Key, ...]
    fits: Matrix  # sections × FITS
    before: Mapping[Key, Before]


async def _measured(
    examples: Sequence[Example], embedder: Embedder, idf: Mapping[str, float], known: Known
) -> tuple[tuple[Measured, ...], tuple[Pool, ...]]:
    laid = [lay_out(example.sentences, example.sources) for example in examples]
    vectors = await _vectors(examples, laid, embedder)
    pools = _pools(examples, vectors, idf, known)
    rows = tuple(
        _measure(number, at, example, one, vectors, idf, pool)
        for number, (example, cited, pool) in enumerate(zip(examples, laid, pools, strict=True))
        for at, one in enumerate(cited)
    )
    return rows, pools


def _pools(examples: Sequence[Example], vectors: Vectors, idf: Mapping[str, float], known: Known) -> tuple[Pool, ...]:
    """One pool an example; a ticket's examples share most sections, and each is measured once."""
    kept: dict[tuple[str, str, Source], tuple[Before, tuple[float, ...]]] = {}

    def fitting(example: Example, source: Source) -> tuple[Before, tuple[float, ...]]:
        place = example.group, example.question, source
        if place not in kept:
            before = known.before(example, (source.article_id, source.section_id), vectors)
            kept[place] = before, fits_of(example.question, source, vectors, idf, before)
        return kept[place]

    def pool(example: Example) -> Pool:
        sections = {(source.article_id, source.section_id): source for source in example.sources}
        found = {key: fitting(example, source) for key, source in sections.items()}
        fits = np.array([values for _, values in found.values()]).reshape(len(found), len(FITS))
        return Pool(tuple(found), fits, {key: before for key, (before, _) in found.items()})

    return tuple(map(pool, examples))


async def _vectors(examples: Sequence[Example], laid: Sequence[Sequence[Cited | None]], embedder: Embedder) -> Vectors:
    whole: set[str] = set()
    tokens: set[str] = set()
    for example, cited in zip(examples, laid, strict=True):
        texts = needed(example.question, [one for one in cited if one and not one.vetoes], example.sources)
        whole |= texts.own | texts.help_centre
        tokens |= texts.own_tokens | texts.help_centre_tokens
    return Vectors(await embed(embedder, sorted(whole)), await embed_tokens(embedder, sorted(tokens)))


def _measure(  # noqa: PLR0913 - a sentence's place, and all that its features are made of
    number: int,
    at: int,
    example: Example,
    one: Cited | None,
    vectors: Vectors,
    idf: Mapping[str, float],
    pool: Pool,
) -> Measured:
    vetoes = one.vetoes if one else ("unknown-source",)
    values = measure(example.question, one, vectors, idf, pool.before[one.key]) if one and not vetoes else ()
    return Measured(number, example.labels[at], vetoes, values, one.key if one else None)


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
    choice: Matrix
    regression: Regression
    calibration: tuple[float, float]
    calibrated_on: str
    probabilities: Mapping[int, float]  # by place in the list of measured sentences


def _fit(rows: Sequence[Measured], examples: Sequence[Example], pools: Sequence[Pool]) -> Fitted:
    table = Table.of(rows, examples)
    if len(set(table.labels)) < 2 or len(set(table.groups)) < FOLDS:
        raise ValueError("the suite gives no right and wrong answers of enough customers to learn from")
    scores = np.zeros(len(table.labels))
    for seen, unseen in GroupKFold(FOLDS).split(table.values, table.labels, table.groups):
        of_others = {table.groups[at] for at in seen}
        values = _with_shares(table, rows, pools, _choice(examples, pools, of_others))
        fold = Regression.of(values[seen], table.labels[seen], table.weights[seen])
        scores[unseen] = fold.score(values[unseen])
    calibration, calibrated_on = _calibrate(rows, examples, table, scores)
    choice = _choice(examples, pools, set(table.groups))
    return Fitted(
        table=table,
        choice=choice,
        regression=Regression.of(_with_shares(table, rows, pools, choice), table.labels, table.weights),
        calibration=calibration,
        calibrated_on=calibrated_on,
        probabilities={row: calibrated(float(s), calibration) for row, s in zip(table.rows, scores, strict=True)},
    )


def _choice(examples: Sequence[Example], pools: Sequence[Pool], groups: Collection[str]) -> Matrix:
    """What each of `FITS` weighs where a section is chosen, by the tickets of these customers."""
    tickets: dict[tuple[str, str], dict[Key, Matrix]] = {}
    right: dict[tuple[str, str], frozenset[Key]] = {}
    for example, pool in zip(examples, pools, strict=True):
        if example.expected and example.group in groups:
            ticket = example.group, example.question
            tickets.setdefault(ticket, {}).update(zip(pool.keys, pool.fits, strict=True))
            right[ticket] = example.expected
    offered = [
        (np.array(list(found.values())), np.array([key in right[ticket] for key in found], bool))
        for ticket, found in tickets.items()
        if len(found) > 1
    ]
    if not offered:
        return np.zeros(len(FITS))
    spread = np.vstack([fits for fits, _ in offered]).std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    return likeliest([(fits / scale, answers) for fits, answers in offered], np.zeros(len(FITS)), near=NEAR) / scale


def _with_shares(table: Table, rows: Sequence[Measured], pools: Sequence[Pool], choice: Matrix) -> Matrix:
    """The table's values with the share of each sentence's section."""
    values = table.values.copy()
    told = [dict(zip(pool.keys, shares(pool.fits, choice), strict=True)) for pool in pools]
    cited = ((rows[place].example, rows[place].key) for place in table.rows)
    values[:, NAMES.index("section-share")] = [told[example][key] if key else 0.0 for example, key in cited]
    return values


def _calibrate(
    rows: Sequence[Measured], examples: Sequence[Example], table: Table, scores: Matrix
) -> tuple[tuple[float, float], str]:
    """The two numbers that turn an answer's worst score into the rate at which such whole answers are right.

    On chosen answers at their natural rate; where those are too few of either kind, on all sentences, balanced.
    """
    worst: dict[int, float] = {}
    for place, score in zip(table.rows, scores, strict=True):
        number = rows[place].example
        if examples[number].kind == "chosen":
            worst[number] = min(worst.get(number, math.inf), float(score))
    labels = np.array([float(examples[number].right) for number in worst])
    if min(labels.sum(), len(labels) - labels.sum()) >= ENOUGH:
        return _sigmoid(np.array(list(worst.values())), labels, np.ones_like(labels)), "chosen answers, natural rate"
    share = table.labels.mean()
    balanced = np.where(table.labels == 1.0, 1 - share, share)
    return _sigmoid(scores, table.labels, balanced), "all sentences, right and wrong weighted alike"


def _sigmoid(scores: Matrix, labels: Matrix, weights: Matrix) -> tuple[float, float]:
    """Fit `calibrated` to Platt's smoothed targets (Platt 1999); all but flat at the rate where scores do not rank."""
    right, wrong = weights[labels == 1.0].sum(), weights[labels == 0.0].sum()
    target = np.where(labels == 1.0, (right + 1) / (right + 2), 1 / (wrong + 2))
    soft = np.array([softplus(float(score)) for score in scores])
    model = LogisticRegression(C=1e6, max_iter=5_000)
    model.fit(
        np.concatenate([soft, soft])[:, np.newaxis],
        np.concatenate([np.ones_like(labels), np.zeros_like(labels)]),
        sample_weight=np.concatenate([weights * target, weights * (1 - target)]),
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (slope, offset) if slope > 0 else (FLAT, math.log((right + 1) / (wrong + 1)))


# -- the report


def _report(
    suite: Suite,
    rule: str,
    examples: Sequence[Example],
    rows: Sequence[Measured],
    fitted: Fitted,
    records: Records,
) -> GateReport:
    worst = _worst(examples, rows, fitted)
    chosen = [(worst[at], example.right) for at, example in enumerate(examples) if example.kind == "chosen"]
    right = [worst[at] for at, example in enumerate(examples) if example.kind == "right" and example.right]
    table = fitted.table
    good = [worst[at] for at, example in enumerate(examples) if example.right and example.kind in DRAFTED]
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
        records=records.figures,
        caught=_caught(examples, rows, fitted, float(np.quantile(good, STOPPED)) if good else 0.0),
        calibrated_on=fitted.calibrated_on,
        digest="",
        stopped=_stopped(examples, worst),
    )


def _stopped(examples: Sequence[Example], worst: Sequence[float]) -> frozenset[str]:
    """The questions of chosen answers below the floor; not the `TELLING` best ones, as fewer than that tell little."""
    chosen = [
        (score, example.question) for example, score in zip(examples, worst, strict=True) if example.kind == "chosen"
    ]
    best = sorted((score for score, _ in chosen), reverse=True)[:TELLING]
    return frozenset(question for score, question in chosen if score < min([FLOOR, *best[-1:]]))


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
            at_tenth=sum(score < tenth or score == 0.0 for score in scores[kind]),  # vetoed: stopped at any
        )
        for kind in sorted(scores)
    )


def _auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    return float(roc_auc_score(labels, scores)) if len(set(labels)) == 2 else None


def _shown(auroc: float | None) -> str:
    return "-" if auroc is None else f"{auroc:.3f}"


def _write(  # noqa: PLR0913 - all that was learned
    out_dir: Path,
    fitted: Fitted,
    records: Records,
    precedents: Precedents,
    library: Library,
    embedder: Embedder,
    report: GateReport,
) -> str:
    """Write the trained parts whole or not at all; the SHA-256 of `verifier.json`, hex, which names the other file."""
    regression = fitted.regression
    trained = Trained(
        names=NAMES,
        mean=tuple(map(float, regression.mean)),
        scale=tuple(map(float, regression.scale)),
        weights=tuple(map(float, regression.weights)),
        intercept=regression.intercept,
        calibration=fitted.calibration,
        idf={stem: round(weight, 4) for stem, weight in sorted(library.idf.items())},
        choice=tuple(map(float, fitted.choice)),
        records=records.parts,
        precedents=precedents.save(out_dir),
        embedder=embedder.name,
        provenance={**report.summary(), "scikit-learn": sklearn.__version__},
    )
    data = trained.model_dump_json(indent=1).encode()
    out_dir.mkdir(parents=True, exist_ok=True)
    part = out_dir / f"{FILE}.part"
    part.write_bytes(data)
    part.replace(out_dir / FILE)
    return sha256(data).hexdigest()
