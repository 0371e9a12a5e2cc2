"""Fit the local classifier on a suite's train half."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evals.dataset import OUT_OF_SCOPE, Halves, LabelledTicket, Suite, halves
from evals.router import calibration_error, precise_from
from infra.knowledge import read_articles
from infra.models.classifier import (
    Calculation,
    Matrix,
    Opinion,
    Scope,
    Trained,
    save,
    scope_features,
    sharpened,
    tidy,
    vectorizers,
)
from processors.ports import Embedder

FOLDS = 5
FOLDS_OF_MANY = 3  # where an intent has plenty of examples, five take long and say no more
LIMIT = 3000  # texts; more takes minutes and gains little
MIN_EXAMPLES = 2  # a rarer intent cannot be learnt
FEW = 30  # examples an intent; with fewer, intents are weighted equally and regularised less
MIN_OUTSIDE = 8  # labelled texts out of scope needed to learn what that looks like
SECTION_CHARACTERS = 600

Progress = Callable[[str], None]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Example:
    """A text with its intent."""

    id: str
    text: str
    intent: str
    group: str
    articles: tuple[str, ...] = ()  # cited by its label


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
    intents: int
    dropped: tuple[str, ...]  # intents with too few examples
    sections: int  # of the help centre, used as further examples
    folds: int
    accuracy: float
    accuracy_dense: float  # MiniLM alone
    accuracy_sparse: float  # TF-IDF alone
    agreement: float  # share of texts for which both name the same intent
    accuracy_agreed: float
    ece: float  # expected calibration error, 15 bins (Guo et al. 2017), after temperature scaling
    temperature: float
    precise_from: float | None  # the lowest confidence from which on nine in ten are right
    scope_auroc: float | None  # None without labels out of scope
    per_intent: tuple[IntentScore, ...]
    predicted: Mapping[str, str]  # train ticket to intent, each by a model that has not seen it
    version: str = ""  # SHA-256 of the arrays

    def summary(self) -> dict[str, Any]:
        """The figures for a provenance file or a table: all but the single predictions."""
        return {name: value for name, value in asdict(self).items() if name not in ("predicted", "version")}

    def __str__(self) -> str:
        """The figures in lines, intents with the weakest recall first."""
        scope = "not measured: no labels out of scope" if self.scope_auroc is None else f"AUROC {self.scope_auroc:.3f}"
        rows = sorted(self.per_intent, key=lambda row: (row.recall, row.intent))
        return "\n".join(
            (
                f"{self.suite}: {self.examples} texts, {self.intents} intents; trained on {self.split}",
                f"accuracy {self.accuracy:.3f} by {self.folds}-fold cross-validation over customers "
                f"(MiniLM {self.accuracy_dense:.3f}, TF-IDF {self.accuracy_sparse:.3f})",
                f"both agree on {self.agreement:.0%}, and are then right in {self.accuracy_agreed:.0%}",
                f"calibration error {self.ece:.3f} after temperature {self.temperature:.2f}",
                f"out of scope {scope}",
                *(f"too few examples: {intent}" for intent in self.dropped),
                *(
                    f"  {row.recall:5.0%} of {row.examples:4} found, {row.precision:5.0%} right  {row.intent}"
                    for row in rows
                ),
            )
        )


@dataclass(frozen=True)
class _Data:
    """Examples and help-centre texts with their features, row by row."""

    examples: tuple[Example, ...]
    intents: Labels
    labels: Labels
    dense: Matrix
    sparse: csr_matrix
    extra_articles: tuple[str | None, ...]  # the article of each further text; None: the name of an intent
    extra_labels: Labels  # of the names; "" for articles, whose intent is voted by the examples that cite them
    extra_dense: Matrix
    extra_sparse: csr_matrix


async def train_router(
    suite: Suite, out_dir: Path, embedder: Embedder, *, progress: Progress, on: date, limit: int = LIMIT
) -> RouterReport:
    """Fit on the train half, save `router.npz` and `router.json` under `out_dir`, and report by cross-validation.

    Sections of the help centre and the names of the intents are further examples: a section belongs to the intent whose
    labelled tickets cite its article most.

    Raises:
        ValueError: the train half has fewer than two intents with enough examples.
    """
    parts = halves(suite)
    everything = _examples(parts)
    examples, dropped = _enough(_capped(everything, limit))
    progress(f"{len(examples)} texts, {len({example.intent for example in examples})} intents")
    texts = _further(suite, sorted({example.intent for example in examples}))
    unlabelled = [ticket for ticket in parts.train if not ticket.intent_label]
    data, pair = await _featured(examples, texts, embedder, progress)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rough optimum is as good, and much sooner
        out = _cross_validated(data, progress)
        temperature = _temperature((out.dense + out.sparse) / 2, data)
        out = replace(out, probabilities=sharpened((out.dense + out.sparse) / 2, temperature))
        scope = _scope(out, data)
        progress("fitting on everything")
        trained = _fitted(data, np.arange(len(examples)), pair, temperature, scope)
    guessed = await _guessed(unlabelled, trained, embedder)
    report = _report(suite, parts, data, out, (temperature, dropped), guessed)
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
    return Example(ticket.id, tidy(ticket.text), intent, ticket.group, articles)


def _capped(examples: Sequence[Example], limit: int) -> list[Example]:
    """At most `limit` examples, drawn by a hash of their ids so that the same suite gives the same ones."""
    chosen = sorted(examples, key=lambda example: sha256(example.id.encode()).digest())[:limit]
    return sorted(chosen, key=lambda example: example.id)


def _enough(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    counts = Counter(example.intent for example in examples)
    rare = {intent for intent, count in counts.items() if count < MIN_EXAMPLES}
    if len(counts) - len(rare) < 2:
        raise ValueError(
            f"needs two intents with {MIN_EXAMPLES} examples each in the train half; there is {dict(counts)}"
        )
    return tuple(example for example in examples if example.intent not in rare), tuple(sorted(rare))


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
    dense = np.array(await embedder.embed([example.text for example in examples]))
    extra_dense = np.array(await embedder.embed(further))
    pair = vectorizers()
    everything = [*(example.text for example in examples), *further]
    sparse = hstack([vectorizer.fit_transform(everything) for vectorizer in pair]).tocsr()
    labels = np.array([example.intent for example in examples])
    data = _Data(
        tuple(examples),
        np.array(sorted(set(labels))),
        labels,
        dense,
        sparse[: len(examples)],
        tuple(article for article, _, _ in used),
        np.array([label for _, label, _ in used]),
        extra_dense,
        sparse[len(examples) :],
    )
    return data, pair


# -- fitting


def _few(data: _Data) -> bool:
    return len(data.labels) < FEW * len(data.intents)


def _folds(examples: Sequence[Example], folds: int) -> NDArray[np.int64]:
    """A fold for each example: one customer's all in one, each intent spread evenly."""
    fold: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for example in sorted(examples, key=lambda example: sha256(example.group.encode()).digest()):
        if example.group not in fold:
            fold[example.group] = seen[example.intent] % folds
            seen[example.intent] += 1
    return np.array([fold[example.group] for example in examples])


def _cross_validated(data: _Data, progress: Progress) -> Opinion:
    count = FOLDS if _few(data) else FOLDS_OF_MANY
    folds = _folds(data.examples, count)
    shape = (len(data.examples), len(data.intents))
    dense, sparse, nearest = np.zeros(shape), np.zeros(shape), np.zeros(shape[0])
    for fold in range(count):
        progress(f"cross-validating, {fold + 1} of {count}")
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(outside) or len(set(data.labels[inside])) < 2:
            continue
        both = _regressions(data, inside)
        for found, model, features in ((dense, both[0], data.dense), (sparse, both[1], data.sparse)):
            columns = np.searchsorted(data.intents, model.classes_)
            found[np.ix_(outside, columns)] = model.predict_proba(features[outside])
        nearest[outside] = (data.dense[outside] @ _centroids(data, inside).T).max(axis=1)
    return Opinion((dense + sparse) / 2, dense, sparse, nearest)


def _regressions(data: _Data, rows: NDArray[np.int64]) -> tuple[LogisticRegression, LogisticRegression]:
    """The logistic regressions on MiniLM and on TF-IDF, fitted on some examples and the texts they lend a label."""
    lent = _lent(data, rows)
    used = np.flatnonzero(lent != "")
    labels = np.concatenate([data.labels[rows], lent[used]])
    few = _few(data)
    weight = "balanced" if few else None
    dense = LogisticRegression(C=20 if few else 5, max_iter=100, tol=1e-3, class_weight=weight)
    sparse = LogisticRegression(C=100 if few else 10, max_iter=60 if few else 30, class_weight=weight)
    dense.fit(np.vstack([data.dense[rows], data.extra_dense[used]]), labels)
    sparse.fit(vstack([data.sparse[rows], data.extra_sparse[used]]).tocsr(), labels)
    return dense, sparse


def _lent(data: _Data, rows: NDArray[np.int64]) -> Labels:
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


def _centroids(data: _Data, rows: NDArray[np.int64]) -> Matrix:
    """One unit row an intent; zeros for out of scope, which has no centre."""
    centres = np.zeros((len(data.intents), data.dense.shape[1]))
    for place, intent in enumerate(data.intents):
        members = data.dense[rows][data.labels[rows] == intent]
        if len(members) and intent != OUT_OF_SCOPE:
            centre = members.mean(axis=0)
            centres[place] = centre / max(float(np.linalg.norm(centre)), 1e-12)
    return centres


def _temperature(probabilities: Matrix, data: _Data) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017)."""
    columns = np.searchsorted(data.intents, data.labels)

    def loss(log_temperature: float) -> float:
        sharp = sharpened(probabilities, float(np.exp(log_temperature)))
        return float(-np.log(sharp[np.arange(len(columns)), columns] + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def _scope(out: Opinion, data: _Data) -> Scope:
    features = scope_features(out, data.intents)
    inside = data.labels != OUT_OF_SCOPE
    quantiles = np.quantile(features[inside][:, :2], np.linspace(0, 1, 101), axis=0).T
    if (~inside).sum() < MIN_OUTSIDE:
        return Scope(np.array([]), quantiles)
    scale = features.std(axis=0) + 1e-9
    model = LogisticRegression(C=1.0, class_weight=None).fit(features / scale, inside)
    return Scope(np.append(model.coef_[0] / scale, model.intercept_[0]), quantiles)


def _fitted(data: _Data, rows: NDArray[np.int64], pair: tuple[Any, Any], temperature: float, scope: Scope) -> Trained:
    dense, sparse = _regressions(data, rows)
    return Trained(
        intents=data.intents,
        dense=_weights(dense),
        centroids=_centroids(data, rows),
        words=pair[0].get_feature_names_out().astype(str),
        word_idf=pair[0].idf_,
        characters=pair[1].get_feature_names_out().astype(str),
        character_idf=pair[1].idf_,
        sparse=_weights(sparse),
        temperature=np.array(temperature),
        scope_weights=scope.weights,
        scope_quantiles=scope.quantiles,
    )


def _weights(model: LogisticRegression) -> Matrix:
    """Intents × (features + 1); two intents are one row in scikit-learn, here they are two."""
    weights: Matrix = np.hstack([model.coef_, model.intercept_[:, None]])
    return np.vstack([-weights / 2, weights / 2]) if len(weights) == 1 else weights


async def _guessed(tickets: Sequence[LabelledTicket], trained: Trained, embedder: Embedder) -> dict[str, str]:
    """Intents of train tickets without a label, which no model has seen."""
    if not tickets:
        return {}
    texts = [tidy(ticket.text) for ticket in tickets]
    opinion = Calculation(trained).opinion(np.array(await embedder.embed(texts)), texts)
    best = trained.intents[opinion.probabilities.argmax(axis=1)]
    return {ticket.id: str(intent) for ticket, intent in zip(tickets, best, strict=True)}


# -- reporting


def _report(
    suite: Suite,
    parts: Halves,
    data: _Data,
    out: Opinion,
    kept: tuple[float, tuple[str, ...]],
    guessed: Mapping[str, str],
) -> RouterReport:
    best, right = _best(out.probabilities, data)
    dense, dense_right = _best(out.dense, data)
    sparse, sparse_right = _best(out.sparse, data)
    agreed = dense == sparse
    inside = data.labels != OUT_OF_SCOPE
    return RouterReport(
        suite=suite.name,
        split=parts.rule,
        examples=len(data.examples),
        intents=len(data.intents),
        dropped=kept[1],
        sections=sum(article is not None for article in data.extra_articles) // 2,
        folds=FOLDS if _few(data) else FOLDS_OF_MANY,
        accuracy=float(right.mean()),
        accuracy_dense=float(dense_right.mean()),
        accuracy_sparse=float(sparse_right.mean()),
        agreement=float(agreed.mean()),
        accuracy_agreed=float(right[agreed].mean()) if agreed.any() else 0.0,
        ece=calibration_error(_read(out, right)),
        temperature=kept[0],
        precise_from=precise_from(_read(out, right)),
        scope_auroc=_auroc(scope_features(out, data.intents), inside),
        per_intent=tuple(_score(str(intent), best, data.labels) for intent in data.intents),
        predicted={**{row.id: str(intent) for row, intent in zip(data.examples, best, strict=True)}, **guessed},
    )


def _read(out: Opinion, right: NDArray[np.bool_]) -> list[tuple[float, bool]]:
    return [(float(sure), bool(hit)) for sure, hit in zip(out.probabilities.max(axis=1), right, strict=True)]


def _best(probabilities: Matrix, data: _Data) -> tuple[Labels, NDArray[np.bool_]]:
    best: Labels = data.intents[probabilities.argmax(axis=1)]
    return best, best == data.labels


def _auroc(features: Matrix, inside: NDArray[np.bool_]) -> float | None:
    """Of the surest intent's probability, the usual baseline: how well it parts in from out of scope."""
    if (~inside).sum() < MIN_OUTSIDE:
        return None
    return float(roc_auc_score(inside, features[:, 0]))


def _score(intent: str, best: Labels, labels: Labels) -> IntentScore:
    right = int(((best == intent) & (labels == intent)).sum())
    named, there = int((best == intent).sum()), int((labels == intent).sum())
    return IntentScore(intent, there, right / named if named else 0.0, right / there if there else 0.0)


def _versions() -> dict[str, str]:
    return {"numpy": np.__version__, "scipy": scipy.__version__, "sklearn": sklearn.__version__}
