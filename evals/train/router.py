"""Fit the local classifier on a suite's train half."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from scipy.optimize import minimize_scalar
from scipy.sparse import hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evals.dataset import OUT_OF_SCOPE, Halves, LabelledTicket, Suite, SuiteError, halves
from evals.router import Part, calibration_error, language_of, parted, precise_from
from evals.scorers import wilson
from evals.train.ridge import OF_FEW, OF_MANY, Features, Ridge, Rows, Scores, fit
from infra.knowledge import read_articles
from infra.models.classifier import (
    Calculation,
    Matrix,
    Opinion,
    Scope,
    Trained,
    save,
    scope_features,
    scoped,
    softmax,
    tidy,
    vectorizers,
)
from processors.ports import Embedder
from schemas.event import Value

FOLDS = 5
FOLDS_OF_MANY = 3  # where an intent has plenty of examples, five take long and say no more
LIMIT = 20_000  # texts, 3 minutes and 2 GB; the time grows with the cube
CHARACTERS = 1_000_000  # of all texts; more take minutes to embed
FOLD_LIMIT = 6000  # texts a model of the cross-validation is fitted on
FEW = 30  # examples an intent; with fewer, intents are weighted equally
ALIKE = 0.65  # cosine from which two texts of an intent are paraphrases of each other
CORRECTED = "correction:"  # how the ids of corrections begin
STRANGE = 4  # an intent in so many is left out of a fold's training, and stands for what is out of scope
ROUNDS = 3  # of that, where examples are few
MIN_OUTSIDE = 8  # labelled texts out of scope needed to learn what that looks like
SECTION_CHARACTERS = 600

Progress = Callable[[str], None]
Labels = NDArray[np.str_]

NO_INTENTS: Labels = np.array([], dtype=np.str_)


@dataclass(frozen=True)
class Example:
    """A text with its intent."""

    id: str
    text: str
    intent: str
    group: str
    articles: tuple[str, ...] = ()  # cited by its label
    channel: str = "api"


class Correction(Value):
    """A text whose topic a person has put right (a line of `sluice train router --corrections`)."""

    text: str = Field(min_length=1)
    intent: str = Field(min_length=1, max_length=80)


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """The corrections of a JSON-lines file; further fields of a line are ignored.

    Raises:
        SuiteError: a line is no correction.
        OSError: there is no such file.
    """
    found: list[Correction] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found.append(Correction.model_validate_json(line))
            except ValidationError as error:
                raise SuiteError(f"{path}:{number}: {error.errors()[0]['msg']}") from None
    return tuple(found)


@dataclass(frozen=True)
class IntentScore:
    """How well one intent is told from the others, by cross-validation."""

    intent: str
    examples: int
    precision: float
    recall: float


@dataclass(frozen=True)
class RouterReport:
    """What was trained, and its figures by cross-validation over customers on the train half."""

    suite: str
    split: str  # the rule that parted train from held-out
    examples: int
    corrections: int  # of them, by people
    intents: int
    sections: int  # of the help centre, used as further examples
    folds: int
    accuracy: float
    accuracy_interval: tuple[float, float]  # 95 %
    accuracy_in_scope: float
    accuracy_hard: float  # in scope, with paraphrases held out together
    accuracy_dense: float  # by the part that rests on MiniLM
    accuracy_sparse: float  # by the part that rests on words and letters
    accuracy_centroids: float  # by the nearest centroid, the second model
    agreement: float  # share of texts for which both models name the same intent
    accuracy_agreed: float
    ece: float  # expected calibration error, 15 bins (Guo et al. 2017), after temperature scaling
    temperature: float
    precise_from: float | None  # the lowest confidence from which on nine in ten are right
    scope_auroc: float | None  # None without labels out of scope
    scope_auroc_hard: float | None  # of intents left out of the training, by the confidence
    per_intent: tuple[IntentScore, ...]
    by_channel: tuple[Part, ...]
    by_language: tuple[Part, ...]
    confusion: Mapping[str, Mapping[str, int]]  # labelled intent → named intent → examples, without the zeros
    predicted: Mapping[str, str]  # train ticket to intent, each by a model that has not seen it
    version: str = ""  # SHA-256 of the arrays

    def summary(self) -> dict[str, Any]:
        """The figures for a provenance file or a table: all but the single predictions."""
        left_out = ("predicted", "version", "confusion")
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def __str__(self) -> str:
        """The figures in lines, intents with the weakest recall first."""
        low, high = self.accuracy_interval
        scope = "not measured: no labels out of scope" if self.scope_auroc is None else f"AUROC {self.scope_auroc:.3f}"
        strange = "not measured" if self.scope_auroc_hard is None else f"AUROC {self.scope_auroc_hard:.3f}"
        sure = "no confidence" if self.precise_from is None else f"a confidence of {self.precise_from:.3f}"
        rows = sorted(self.per_intent, key=lambda row: (row.recall, row.intent))
        return "\n".join(
            (
                f"{self.suite}: {self.examples} texts ({self.corrections} corrections), {self.intents} intents; "
                f"trained on {self.split}",
                f"accuracy {self.accuracy:.3f} [{low:.3f}, {high:.3f}], in scope {self.accuracy_in_scope:.3f}, by "
                f"{self.folds}-fold cross-validation over customers, {FOLD_LIMIT} texts a model at most",
                f"by MiniLM's part {self.accuracy_dense:.3f}, by that of words and letters {self.accuracy_sparse:.3f}; "
                f"by the nearest centroid {self.accuracy_centroids:.3f}",
                f"the centroid agrees on {self.agreement:.0%}, which are then right in {self.accuracy_agreed:.0%}",
                f"calibration error {self.ece:.3f} after temperature {self.temperature:.2f}",
                f"out of scope {scope}",
                f"as hard as life (paraphrases held out together, topics left out): accuracy in scope "
                f"{self.accuracy_hard:.3f}, topics left out {strange}, nine in ten right from {sure}",
                *(
                    f"  {row.accuracy:5.0%} [{row.low:.0%}, {row.high:.0%}] of {row.n:5} {kind} {row.name}"
                    for kind, parts in (("channel", self.by_channel), ("language", self.by_language))
                    for row in parts
                ),
                *(
                    f"  {row.recall:5.0%} of {row.examples:4} found, {row.precision:5.0%} right  {row.intent}"
                    for row in rows
                ),
            )
        )


@dataclass(frozen=True)
class _Data:
    """Examples with their features, and after them texts of the help centre and names of intents, row by row."""

    examples: tuple[Example, ...]
    intents: Labels
    labels: Labels  # of the examples
    vectors: Matrix
    features: Features
    extra_articles: tuple[str | None, ...]  # the article of each further text; None: the name of an intent
    extra_labels: Labels  # of the names; "" for articles, whose intent is voted by the examples that cite them

    @property
    def columns(self) -> Rows:
        """The examples' labels as places among the intents."""
        return np.searchsorted(self.intents, self.labels)


async def train_router(
    suite: Suite,
    out_dir: Path,
    embedder: Embedder,
    *,
    progress: Progress,
    on: date,
    corrections: Sequence[Correction] = (),
) -> RouterReport:
    """Fit on the train half, save `router.npz` and `router.json` under `out_dir`, and report by cross-validation.

    Sections of the help centre and the names of the intents are further examples: a section belongs to the intent whose
    labelled tickets cite its article most. A correction takes the place of what else is said of the same text.

    Raises:
        ValueError: the train half has fewer than two intents.
    """
    parts = halves(suite)
    everything = _corrected(_examples(parts), corrections)
    examples = _capped(everything)
    intents = sorted({example.intent for example in examples})
    if len(intents) < 2:
        raise ValueError(f"needs two intents in the train half; there is {', '.join(intents) or 'none'}")
    progress(f"{len(examples)} texts, {len(intents)} intents")
    texts = _further(suite, intents)
    unlabelled = [ticket for ticket in parts.train if not ticket.intent_label]
    data, pair = await _featured(examples, texts, embedder, progress)
    with threadpool_limits(1):
        out = _cross_validated(data, _folds(data.examples, _fold_count(data)), progress)
        out = replace(out, temperature=_temperature(out.scores, data.columns))
        paraphrases = _paraphrases(data)
        scope = _scope(out, data, paraphrases)
        hard = _hard(data, paraphrases, out.temperature, scope, progress)
        progress("fitting on everything")
        trained = _fitted(data, pair, out.temperature, scope)
    guessed = await _guessed(unlabelled, trained, embedder)
    report = _report(suite, parts, data, _Measured(out, scope, hard), guessed)
    provenance = {**report.summary(), "embedder": embedder.name, "trained_on": on.isoformat(), **_versions()}
    return replace(report, version=save(out_dir, trained, provenance))


# -- examples


def _examples(parts: Halves) -> list[Example]:
    tickets = [_of_ticket(ticket) for ticket in parts.train if ticket.intent_label or ticket.out_of_scope]
    known = {example.id for example in tickets}
    others = [
        Example(row.id, tidy(row.text), row.intent_label, row.customer_id or row.id)
        for row in parts.intents
        if row.id not in known
    ]
    return tickets + others


def _of_ticket(ticket: LabelledTicket) -> Example:
    intent = OUT_OF_SCOPE if ticket.out_of_scope else str(ticket.intent_label)
    articles = tuple(source.article_id for source in ticket.expected_sources if source.role == "answer")
    return Example(ticket.id, tidy(ticket.text), intent, ticket.group, articles, ticket.channel)


def _corrected(examples: Sequence[Example], corrections: Sequence[Correction]) -> list[Example]:
    last = {tidy(row.text).casefold(): row for row in corrections}
    kept = [example for example in examples if example.text.casefold() not in last]
    by_people = (Example(f"{CORRECTED}{text}", tidy(row.text), row.intent, text) for text, row in last.items())
    return [*kept, *by_people]


def _capped(examples: Sequence[Example]) -> list[Example]:
    """As many as are trained on, drawn by a hash of their ids so that the same suite gives the same ones."""
    drawn = sorted(examples, key=lambda example: sha256(example.id.encode()).digest())[:LIMIT]
    room = accumulate(len(example.text) for example in drawn)
    chosen = [example for example, taken in zip(drawn, room, strict=True) if taken <= CHARACTERS]
    return sorted(chosen, key=lambda example: example.id)


def _further(suite: Suite, intents: Sequence[str]) -> list[tuple[str | None, str, str]]:
    """Article (or None), label (or ""), text: the names of the intents and the current sections of the help centre."""
    names = [(None, intent, intent.replace("_", " ").replace("-", " ")) for intent in intents]
    articles = [article for path in suite.articles for article in read_articles(path) if article.valid_to is None]
    pieces = [
        (article.id, "", text)
        for article in articles
        for section in article.sections
        for text in (
            f"{article.title}. {section.heading}. {section.text}"[:SECTION_CHARACTERS],
            f"{article.title}: {section.heading}",
        )
    ]
    return [*names, *pieces]


async def _featured(
    examples: Sequence[Example], texts: Sequence[tuple[str | None, str, str]], embedder: Embedder, progress: Progress
) -> tuple[_Data, tuple[Any, Any]]:
    cited = {article for example in examples for article in example.articles}
    used = [text for text in texts if text[0] is None or text[0] in cited]
    further = [tidy(text) for _, _, text in used]
    progress(f"embedding {len(examples) + len(used)} texts")
    everything = [*(example.text for example in examples), *further]
    vectors = np.array(await embedder.embed(everything))
    pair = vectorizers()
    sparse = hstack([vectorizer.fit_transform(everything) for vectorizer in pair]).tocsr()
    labels = np.array([example.intent for example in examples])
    strength = OF_FEW if _few(labels) else OF_MANY
    data = _Data(
        examples=tuple(examples),
        intents=np.array(sorted(set(labels))),
        labels=labels,
        vectors=vectors,
        features=Features(vectors.astype(np.float32), sparse.astype(np.float32), strength),
        extra_articles=tuple(article for article, _, _ in used),
        extra_labels=np.array([label for _, label, _ in used]),
    )
    return data, pair


# -- fitting


def _few(labels: Labels) -> bool:
    return len(labels) < FEW * len(set(labels))


def _fold_count(data: _Data) -> int:
    return FOLDS if _few(data.labels) else FOLDS_OF_MANY


def _folds(examples: Sequence[Example], folds: int) -> Rows:
    """A fold for each example: one customer's all in one, each intent spread evenly."""
    return _dealt([example.group for example in examples], [example.intent for example in examples], folds)


def _dealt(groups: Sequence[str], intents: Sequence[str], folds: int) -> Rows:
    fold: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for group, intent in sorted(zip(groups, intents, strict=True), key=lambda pair: sha256(pair[0].encode()).digest()):
        if group not in fold:
            fold[group] = seen[intent] % folds
            seen[intent] += 1
    return np.array([fold[group] for group in groups])


def _cross_validated(data: _Data, folds: Rows, progress: Progress) -> Opinion:
    """What models that have not seen an example make of it."""
    count = int(folds.max()) + 1
    shape = (len(data.examples), len(data.intents))
    dense, sparse, cosines, closest = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape[0])
    for fold in range(count):
        progress(f"cross-validating, {fold + 1} of {count}")
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(outside) or len(set(data.labels[inside])) < 2:
            continue
        inside = _thinned(data, inside)
        found = _seen(data, inside, outside)
        dense[outside], sparse[outside] = found.dense, found.sparse
        cosines[outside], closest[outside] = found.cosines, found.closest
    return Opinion(dense, sparse, cosines, closest)


def _seen(data: _Data, inside: Rows, outside: Rows, strange: Labels = NO_INTENTS) -> Opinion:
    """What a model of the texts inside, to which some intents are strange, makes of those outside."""
    found: Scores = _ridge(data, inside, strange).scores(data.features, outside)
    cosines = data.vectors[outside] @ _centroids(data, inside).T
    return Opinion(found.dense, found.sparse, cosines, found.closest)


def _thinned(data: _Data, rows: Rows) -> Rows:
    """As many as a model of the cross-validation is fitted on, drawn by a hash."""
    chosen = sorted(rows, key=lambda row: sha256(data.examples[row].id.encode()).digest())[:FOLD_LIMIT]
    return np.array(sorted(chosen))


def _ridge(data: _Data, rows: Rows, strange: Labels = NO_INTENTS) -> Ridge:
    """The regression on some examples and the texts they lend a label; the names of strange intents stay unknown."""
    lent = _lent(data, rows)
    used = np.flatnonzero((lent != "") & ~np.isin(lent, strange))
    labels = np.concatenate([data.columns[rows], np.searchsorted(data.intents, lent[used])])
    every = np.concatenate([rows, len(data.examples) + used])
    return fit(data.features, every, labels, len(data.intents))


def _lent(data: _Data, rows: Rows) -> Labels:
    """The label of each further text: an intent's own name, or the intent that cites an article most; else ""."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for article in data.examples[row].articles:
            votes[article][data.examples[row].intent] += 1
    voted = {article: max(sorted(count), key=count.__getitem__) for article, count in votes.items()}
    return np.array(
        [
            label or voted.get(article or "", "")
            for article, label in zip(data.extra_articles, data.extra_labels, strict=True)
        ]
    )


def _centroids(data: _Data, rows: Rows) -> Matrix:
    """One unit row an intent; zeros for out of scope, which has no centre."""
    centres = np.zeros((len(data.intents), data.vectors.shape[1]))
    for place, intent in enumerate(data.intents):
        members = data.vectors[rows[data.labels[rows] == intent]]
        if len(members) and intent != OUT_OF_SCOPE:
            centre = members.mean(axis=0)
            centres[place] = centre / max(float(np.linalg.norm(centre)), 1e-12)
    return centres


def _temperature(scores: Matrix, columns: Rows) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017)."""

    def loss(log_temperature: float) -> float:
        sharp = softmax(scores / float(np.exp(log_temperature)))
        return float(-np.log(sharp[np.arange(len(columns)), columns] + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 2.0), method="bounded").x))


def _scope(out: Opinion, data: _Data, paraphrases: Sequence[str]) -> Scope:
    features = scope_features(out, data.intents)
    inside = data.labels != OUT_OF_SCOPE
    places = np.linspace(0, 1, 101)
    sure, near = features[inside][:, 0], _closest(data, np.flatnonzero(inside), np.array(paraphrases))
    quantiles = np.stack([np.quantile(sure, places), np.quantile(near, places)])
    if (~inside).sum() < MIN_OUTSIDE:
        return Scope(np.array([]), quantiles)
    features = features[:, :-1]
    scale = features.std(axis=0) + 1e-9
    model = LogisticRegression(C=1.0, class_weight=None).fit(features / scale, inside)
    return Scope(np.append(model.coef_[0] / scale, model.intercept_[0]), quantiles)


def _closest(data: _Data, rows: Rows, paraphrases: Labels) -> Matrix:
    """The cosine of texts to the nearest that is no paraphrase: how near a text in scope is that nobody thought of."""
    rows = _thinned(data, rows)
    vectors, names = data.features.vectors[rows], paraphrases[rows]
    further = data.features.vectors[len(data.examples) :]
    nearest = np.zeros(len(rows))
    for place, vector in enumerate(vectors):
        cosines = vectors @ vector
        cosines[names == names[place]] = -1.0
        nearest[place] = max(cosines.max(), (further @ vector).max(initial=-1.0))
    return nearest


def _final(out: Opinion, scope: Scope, intents: Labels) -> tuple[Matrix, Matrix]:
    """Probabilities of the intents as the classifier gives them, and P(in scope), a row a text."""
    in_scope = np.array([scope.probability(row) for row in scope_features(out, intents)])
    return scoped(out.probabilities, in_scope, intents), in_scope


def _fitted(data: _Data, pair: tuple[Any, Any], temperature: float, scope: Scope) -> Trained:
    everything = np.arange(len(data.examples))
    ridge = _ridge(data, everything)
    return Trained(
        intents=data.intents,
        landmarks=data.features.vectors[ridge.rows].astype(np.float64),
        width=np.array(data.features.strength.width),
        dense=ridge.duals.astype(np.float64),
        centroids=_centroids(data, everything),
        words=pair[0].get_feature_names_out().astype(str),
        word_idf=pair[0].idf_,
        characters=pair[1].get_feature_names_out().astype(str),
        character_idf=pair[1].idf_,
        sparse=ridge.words.astype(np.float64),
        temperature=np.array(temperature),
        scope_weights=scope.weights,
        scope_quantiles=scope.quantiles,
    )


# -- as hard as life


@dataclass(frozen=True)
class _Hard:
    """Texts that no paraphrase of theirs was trained with, and texts of topics left out of the training."""

    read: tuple[tuple[float, bool], ...]  # confidence, right; a text of a topic left out is never right
    accuracy: float  # in scope
    scope_auroc: float | None


def _hard(data: _Data, paraphrases: Sequence[str], temperature: float, scope: Scope, progress: Progress) -> _Hard:
    """Cross-validate with paraphrases held out together and an intent in four left out: what customers write is less
    like the examples than these are like each other. Few texts are read several times, each time parted anew.
    """
    topics = np.array([place for place, intent in enumerate(data.intents) if intent != OUT_OF_SCOPE])
    read: list[tuple[float, bool, bool]] = []  # confidence, right, in scope
    turns = STRANGE * (ROUNDS if _few(data.labels) else 1)
    for place in range(turns):
        turn, fold = divmod(place, STRANGE)
        progress(f"cross-validating on paraphrases and strange topics, {place + 1} of {turns}")
        folds = _dealt([f"{turn or ''}{name}" for name in paraphrases], list(data.labels), STRANGE)
        left_out = data.intents[topics[(fold + turn) % STRANGE :: STRANGE]]
        strange = np.isin(data.labels, left_out)
        inside, outside = np.flatnonzero((folds != fold) & ~strange), np.flatnonzero(folds == fold)
        if len(outside) and len(set(data.labels[inside])) > 1:
            seen = _seen(data, _thinned(data, inside), outside, left_out)
            found = replace(seen, temperature=temperature)
            known = ~strange[outside] & (data.labels[outside] != OUT_OF_SCOPE)
            read += _read(data, _final(found, scope, data.intents)[0], outside, known)
    inside_read = [(sure, hit) for sure, hit, there in read if there]
    truth = [there for _, _, there in read]
    both = len(set(truth)) == 2
    return _Hard(
        read=tuple((sure, hit) for sure, hit, _ in read),
        accuracy=sum(hit for _, hit in inside_read) / len(inside_read) if inside_read else 0.0,
        scope_auroc=float(roc_auc_score(truth, [sure for sure, _, _ in read])) if both else None,
    )


def _read(data: _Data, probabilities: Matrix, rows: Rows, known: NDArray[np.bool_]) -> list[tuple[float, bool, bool]]:
    """Confidence, right, in scope: of the texts that are taken for a topic."""
    best = probabilities.argmax(axis=1)
    right = known & (best == data.columns[rows])
    named = data.intents[best] != OUT_OF_SCOPE
    found = zip(probabilities.max(axis=1)[named], right[named], known[named], strict=True)
    return [(float(sure), bool(hit), bool(there)) for sure, hit, there in found]


def _paraphrases(data: _Data) -> list[str]:
    """A name for each example that it shares with its paraphrases: the first text of its intent it is like."""
    first: defaultdict[str, list[int]] = defaultdict(list)
    names: list[str] = []
    for row, example in enumerate(data.examples):
        leaders = first[example.intent]
        near = data.vectors[leaders] @ data.vectors[row] if leaders else np.zeros(0)
        if not len(near) or near.max() < ALIKE:
            leaders.append(row)
            names.append(example.id)
        else:
            names.append(data.examples[leaders[int(near.argmax())]].id)
    return names


async def _guessed(tickets: Sequence[LabelledTicket], trained: Trained, embedder: Embedder) -> dict[str, str]:
    """Intents of train tickets without a label, which no model has seen."""
    if not tickets:
        return {}
    texts = [tidy(ticket.text) for ticket in tickets]
    opinion = Calculation(trained).opinion(np.array(await embedder.embed(texts)), texts)
    scope = Scope(trained.scope_weights, trained.scope_quantiles)
    best = trained.intents[_final(opinion, scope, trained.intents)[0].argmax(axis=1)]
    return {ticket.id: str(intent) for ticket, intent in zip(tickets, best, strict=True)}


# -- reporting


@dataclass(frozen=True)
class _Measured:
    """What cross-validation gave."""

    out: Opinion
    scope: Scope
    hard: _Hard


def _report(suite: Suite, parts: Halves, data: _Data, measured: _Measured, guessed: Mapping[str, str]) -> RouterReport:
    out = measured.out
    probabilities, in_scope = _final(out, measured.scope, data.intents)
    best, right = _best(probabilities, data)
    inside = data.labels != OUT_OF_SCOPE
    read = list(zip(map(float, probabilities.max(axis=1)), map(bool, right), strict=True))
    return RouterReport(
        suite=suite.name,
        split=parts.rule,
        examples=len(data.examples),
        corrections=sum(example.id.startswith(CORRECTED) for example in data.examples),
        intents=len(data.intents),
        sections=sum(article is not None for article in data.extra_articles) // 2,
        folds=_fold_count(data),
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(right)) or (0.0, 1.0),
        accuracy_in_scope=float(right[inside].mean()),
        accuracy_hard=measured.hard.accuracy,
        accuracy_dense=float(_best(out.dense, data)[1].mean()),
        accuracy_sparse=float(_best(out.sparse, data)[1].mean()),
        accuracy_centroids=float(_best(out.cosines, data)[1].mean()),
        agreement=float(out.agreed.mean()),
        accuracy_agreed=float(right[out.agreed].mean()) if out.agreed.any() else 0.0,
        ece=calibration_error(read),
        temperature=out.temperature,
        precise_from=precise_from(measured.hard.read),
        scope_auroc=_auroc(in_scope, inside),
        scope_auroc_hard=measured.hard.scope_auroc,
        per_intent=tuple(_score(str(intent), best, data.labels) for intent in data.intents),
        by_channel=parted((row.channel, bool(hit)) for row, hit in zip(data.examples, right, strict=True)),
        by_language=parted((language_of(row.text), bool(hit)) for row, hit in zip(data.examples, right, strict=True)),
        confusion=_confusion(data.labels, best),
        predicted={**{row.id: str(intent) for row, intent in zip(data.examples, best, strict=True)}, **guessed},
    )


def _best(scores: Matrix, data: _Data) -> tuple[Labels, NDArray[np.bool_]]:
    best: Labels = data.intents[scores.argmax(axis=1)]
    return best, best == data.labels


def _confusion(labels: Labels, best: Labels) -> dict[str, dict[str, int]]:
    cells: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (label, named), count in sorted(Counter(zip(map(str, labels), map(str, best), strict=True)).items()):
        cells[label][named] = count
    return dict(cells)


def _auroc(in_scope: Matrix, inside: NDArray[np.bool_]) -> float | None:
    if (~inside).sum() < MIN_OUTSIDE:
        return None
    return float(roc_auc_score(inside, in_scope))


def _score(intent: str, best: Labels, labels: Labels) -> IntentScore:
    right = int(((best == intent) & (labels == intent)).sum())
    named, there = int((best == intent).sum()), int((labels == intent).sum())
    return IntentScore(intent, there, right / named if named else 0.0, right / there if there else 0.0)


def _versions() -> dict[str, str]:
    return {"numpy": np.__version__, "scipy": scipy.__version__, "sklearn": sklearn.__version__}
