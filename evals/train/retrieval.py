"""Learn which sections answer a help centre's tickets: what each feature weighs, and which articles are given when.

Examples are tickets whose right article is known: the rows of `retrieval_*.jsonl`, and the tickets of the train half
that expect a section. The weights maximise the likelihood of a right section among those found (a softmax over them,
as in ListNet, Cao et al. 2007), held near the defaults; a multinomial regression on the ticket's vector learns which
article tends to be given, and goes in as one feature, computed for each ticket by a model that has not seen its
customer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from evals.dataset import Halves, LabelledTicket, Suite, SuiteError, halves
from evals.scorers import wilson
from evals.train.choice import likeliest
from infra.knowledge import read_articles
from infra.models.ranker import CANDIDATES, FILE, UNLIKELY, Trained, features_of, likely_articles, save
from infra.rows import read_rows
from infra.scripted.knowledge import ScriptedKnowledge
from processors.ports import Embedder
from processors.ranking import DEFAULT, FEATURES, Ranking, order
from processors.retrieval import query_with_context
from schemas.retrieval import Passage
from schemas.router import Author

FOLDS = 5
ENOUGH = 40  # examples, below which the defaults stay
OFTEN = 3.0  # examples an article that was given, on average, below which there is no telling which is given when
STRENGTH = 20.0  # C of the regression on vectors of length 1
NEAR = 0.001  # how much it costs a weight to leave its default, by its square
VARIETIES = (0.0, 0.5, 1.0, 2.0, 3.0)
KS = (1, 5)
KEPT = 8  # passages of a ticket in the report, as retrieval gives by default

Progress = Callable[[str], None]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A query, the articles or sections that answer it, and whose it is."""

    id: str
    group: str
    query: str
    context: str
    expected: frozenset[tuple[str, str | None]]

    def answers(self, passage: Passage) -> bool:
        """Whether the passage is expected; a label without a section accepts any of its article."""
        return bool({(passage.article_id, passage.section_id), (passage.article_id, None)} & self.expected)


@dataclass(frozen=True)
class Share:
    """How many of so many, with the 95 % interval."""

    found: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval."""
        return wilson(self.found, self.n) or (0.0, 1.0)

    def __str__(self) -> str:
        return f"{self.found / max(1, self.n):.3f} [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"


@dataclass(frozen=True)
class Found:
    """At which place the first right passage, and the first of a right article, stands: one each ticket, from 0."""

    passages: tuple[int, ...]
    articles: tuple[int, ...]

    @property
    def hits(self) -> int:
        """Right passages at the first place and among the first five, together: what a ranking is chosen by."""
        return sum(place < k for place in self.passages for k in KS)

    def figures(self) -> dict[str, Share]:
        """The shares by name: `article_at_1`, `passage_at_5`."""
        n = len(self.passages)
        return {
            f"{name}_at_{k}": Share(sum(place < k for place in places), n)
            for name, places in (("article", self.articles), ("passage", self.passages))
            for k in KS
        }


@dataclass(frozen=True)
class RetrievalReport:
    """What was learned, and what it finds of customers it has not seen (cross-validated)."""

    suite: str
    split: str  # how the train half was chosen, in words
    examples: int
    articles: int  # that the model of articles knows; 0: it was not learned
    untrained: Found
    trained: Found
    ranking: Ranking
    kept: bool  # whether it finds more than the defaults, and was saved
    found: Mapping[str, tuple[Passage, ...]]  # by ticket, in the order of a ranking that has not seen its customer

    def summary(self) -> dict[str, Any]:
        """The report for `--json`."""
        shares = {
            f"{name}_{figure}": {"share": share.found / max(1, share.n), "interval": share.interval}
            for name, found in (("untrained", self.untrained), ("trained", self.trained))
            for figure, share in found.figures().items()
        }
        told = {"suite": self.suite, "split": self.split, "examples": self.examples, "articles": self.articles}
        weights = {"weights": dict(self.ranking.weights), "variety": self.ranking.variety, "kept": self.kept}
        return {**told, **shares, **weights}

    def __str__(self) -> str:
        lines = [f"retrieval of {self.suite}: {self.examples} tickets, {self.split}; {self.articles} articles learned"]
        before, after = self.untrained.figures(), self.trained.figures()
        lines += [f"  right {name.replace('_', ' ')}: {after[name]}, untrained {before[name]}" for name in after]
        return "\n".join([*lines, "" if self.kept else "  no better than the defaults, which stay"]).rstrip()


@dataclass(frozen=True)
class _Case:
    """An example with what was found for it."""

    example: Example
    passages: tuple[Passage, ...]
    vector: Matrix
    features: Matrix  # passages × FEATURES
    right: NDArray[np.bool_]  # which passages answer


async def train_retrieval(
    suite: Suite, directory: Path, embedder: Embedder, *, progress: Progress = lambda _: None
) -> RetrievalReport:
    """Train on the suite's train half and save the trained parts; where they find no more than the defaults, none.

    Raises:
        ValueError: the suite has no help centre, or fewer than 40 tickets whose article is known.
    """
    parts = halves(suite)
    cases = await cases_of(suite, examples_of(suite, parts), embedder, progress)
    if len(cases) < ENOUGH:
        raise ValueError(f"{suite.path}: {len(cases)} tickets with a known article; {ENOUGH} are needed")
    articles = _tell_articles(cases)
    progress(f"cross-validating the ranking on {len(cases)} tickets")
    filled = _with_articles(cases, articles)
    ranking, others, trained = _chosen(filled)
    untrained = _found(cases, [DEFAULT] * len(cases))
    kept = trained.hits > untrained.hits
    known, weights = _article_model(cases, articles)
    told = {"suite": suite.name, "split": parts.rule, "examples": len(cases), "embedder": embedder.name}
    if kept:
        save(Trained(ranking, known, weights, {**told, **_versions()}), directory)
    else:
        (directory / FILE).unlink(missing_ok=True)
    return RetrievalReport(
        suite=suite.name,
        split=parts.rule,
        examples=len(cases),
        articles=len(known),
        untrained=untrained,
        trained=trained,
        ranking=ranking,
        kept=kept,
        found=_in_order(filled, others) if kept else _in_order(cases, [DEFAULT] * len(cases)),
    )


# -- examples


def examples_of(suite: Suite, parts: Halves) -> list[Example]:
    """What is labelled and no part of the held-out half."""
    return [example for ticket in labelled(suite, parts) if (example := _example(ticket)).expected]


def labelled(suite: Suite, parts: Halves) -> list[LabelledTicket]:
    """The train half with the rows of `retrieval_*.jsonl`: no ticket, customer or text of the held-out half."""
    ids = {ticket.id for ticket in parts.held_out}
    groups = {ticket.group for ticket in parts.held_out}
    texts = {_start(ticket) for ticket in parts.held_out}
    tickets = {ticket.id: ticket for ticket in (*_rows(suite), *parts.train)}
    return [
        ticket
        for ticket in tickets.values()
        if ticket.id not in ids and ticket.group not in groups and _start(ticket) not in texts
    ]


def _rows(suite: Suite) -> list[LabelledTicket]:
    """The rows of `retrieval_*.jsonl`: tickets of which only the right article is known."""
    rows = [row for file in sorted(suite.path.glob("retrieval_*.jsonl")) for row in read_rows(file)]
    try:
        return [LabelledTicket.model_validate(row) for _, row in rows]
    except ValidationError as error:
        raise SuiteError(f"{suite.path}: retrieval_*.jsonl: {error.errors()[0]['msg']}") from None


def _example(ticket: LabelledTicket) -> Example:
    said = [(Author.CUSTOMER if turn.speaker == "user" else Author.BOT, turn.text) for turn in ticket.thread]
    repeated = ticket.body.startswith(ticket.subject.strip())
    query, context = query_with_context("" if repeated else ticket.subject, ticket.body or ticket.subject, said)
    expected = frozenset(
        (source.article_id, source.section_id)
        for source in ticket.expected_sources
        if source.role == "answer" and not source.article_id.startswith("crm:")
    )
    return Example(ticket.id, ticket.group, query, context, expected)


def _start(ticket: LabelledTicket) -> str:
    return " ".join(ticket.text.lower().split())[:120]


async def cases_of(
    suite: Suite, examples: Sequence[Example], embedder: Embedder, progress: Progress = lambda _: None
) -> list[_Case]:
    """The examples with the passages found for them, as the product finds them; those with none that answers too."""
    articles = [article for path in suite.articles for article in read_articles(path)]
    if not articles:
        raise ValueError(f"{suite.path}: no articles to find")
    progress(f"embedding {sum(len(article.sections) for article in articles)} sections")
    now = datetime.now(UTC)
    knowledge = await ScriptedKnowledge.of(embedder, articles, now=now)
    public = {article.id for article in articles if article.audience == "public"}
    known = [example for example in examples if any(article in public for article, _ in example.expected)]
    progress(f"searching for {len(known)} tickets")
    vectors = np.array(await embedder.embed([example.query for example in known]))
    found = [
        await knowledge.search(example.query, at=now, limit=CANDIDATES, context=example.context) for example in known
    ]
    return [_case(*parts) for parts in zip(known, found, vectors, strict=True)]


def _case(example: Example, passages: tuple[Passage, ...], vector: Matrix) -> _Case:
    rows = features_of(example.query, example.context, passages, {})
    right = np.array([example.answers(passage) for passage in passages], bool)
    return _Case(example, passages, vector, np.array([[row[name] for name in FEATURES] for row in rows]), right)


# -- which article is given


def _tell_articles(cases: Sequence[_Case]) -> bool:
    """Whether the tickets tell which article is given when."""
    return often([{article for article, _ in case.example.expected} for case in cases])


def often(answered: Sequence[Collection[str]]) -> bool:
    """Whether so many questions tell which article answers when."""
    return len(answered) >= OFTEN * len({article for articles in answered for article in articles})


def _article_model(cases: Sequence[_Case], learn: bool) -> tuple[tuple[str, ...], Matrix]:
    if not learn:
        return (), np.zeros((0, len(cases[0].vector) + 1))
    return article_model([(case.vector, {article for article, _ in case.example.expected}) for case in cases])


def article_model(answered: Sequence[tuple[Matrix, Collection[str]]]) -> tuple[tuple[str, ...], Matrix]:
    """Which article answers a question, by its vector; no articles where there are fewer than three.

    Multinomial logistic regression, articles × (dimensions + 1); of two right articles each counts half.
    """
    rows = [(vector, article, 1 / len(articles)) for vector, articles in answered for article in sorted(articles)]
    names = {article for _, article, _ in rows}
    if len(names) < 3:
        return (), np.zeros((0, len(answered[0][0]) + 1 if answered else 1))
    model = LogisticRegression(C=STRENGTH, max_iter=200, tol=1e-3)
    model.fit(
        np.array([row[0] for row in rows]), [row[1] for row in rows], sample_weight=np.array([row[2] for row in rows])
    )
    return tuple(map(str, model.classes_)), np.hstack([model.coef_, model.intercept_[:, None]])


def _with_articles(cases: Sequence[_Case], learn: bool) -> list[_Case]:
    """The cases, each with how likely its articles are by a model that has not seen its customer."""
    if not learn:
        return list(cases)
    folds = _folds(cases)
    filled = list(cases)
    for fold in range(FOLDS):
        names, weights = _article_model([case for case, at in zip(cases, folds, strict=True) if at != fold], learn)
        for place in np.flatnonzero(folds == fold).tolist():
            filled[place] = _likely(cases[place], names, weights)
    return filled


def _likely(case: _Case, names: Sequence[str], weights: Matrix) -> _Case:
    likely = likely_articles(names, weights, case.vector)
    features = case.features.copy()
    features[:, FEATURES.index("article")] = [likely.get(passage.article_id, UNLIKELY) for passage in case.passages]
    return replace(case, features=features)


def _folds(cases: Sequence[_Case]) -> NDArray[np.int64]:
    """A fold for each case, one customer's all in one."""
    return np.array([int.from_bytes(sha256(case.example.group.encode()).digest()[:4]) % FOLDS for case in cases])


# -- what features weigh


def _chosen(cases: Sequence[_Case]) -> tuple[Ranking, list[Ranking], Found]:
    """The ranking of all cases, that of the other folds for each, and how these do; variety is chosen by the latter."""
    folds = _folds(cases)
    fitted = [fit([case for case, at in zip(cases, folds, strict=True) if at != fold]) for fold in range(FOLDS)]
    others = {variety: [replace(fitted[fold], variety=variety) for fold in folds] for variety in VARIETIES}
    tried = {variety: _found(cases, rankings) for variety, rankings in others.items()}
    best = max(VARIETIES, key=lambda variety: tried[variety].hits)
    return replace(fit(cases), variety=best), others[best], tried[best]


def fit(cases: Sequence[_Case]) -> Ranking:
    """The weights under which the right passages of these cases are likeliest; none below zero."""
    start = np.array([DEFAULT.weights[name] for name in FEATURES])
    found = likeliest([(case.features, case.right) for case in cases], start, near=NEAR, least=0.0)
    return Ranking(dict(zip(FEATURES, map(float, found), strict=True)), DEFAULT.variety)


def _found(cases: Sequence[_Case], rankings: Sequence[Ranking]) -> Found:
    pairs = [_first_right(case, ranking) for case, ranking in zip(cases, rankings, strict=True)]
    return Found(tuple(passage for passage, _ in pairs), tuple(article for _, article in pairs))


def _first_right(case: _Case, ranking: Ranking) -> tuple[int, int]:
    """The places of the first right passage and of the first of a right article; where there is none, beyond all."""
    articles = [passage.article_id for passage in case.passages]
    expected = {article for article, _ in case.example.expected}
    places = _places(case, ranking)
    right = (case.right, [article in expected for article in articles])
    passage, article = (next((at for at, n in enumerate(places) if ok[n]), len(places)) for ok in right)
    return passage, article


def _places(case: _Case, ranking: Ranking) -> tuple[int, ...]:
    scores = case.features @ np.array([ranking.weights[name] for name in FEATURES])
    return order(scores.tolist(), [passage.article_id for passage in case.passages], ranking.variety)


def _in_order(cases: Sequence[_Case], rankings: Sequence[Ranking]) -> dict[str, tuple[Passage, ...]]:
    """The best passages of each case, as its ranking orders them."""
    return {
        case.example.id: tuple(case.passages[place] for place in _places(case, ranking)[:KEPT])
        for case, ranking in zip(cases, rankings, strict=True)
    }


def _versions() -> dict[str, str]:
    return {"numpy": np.__version__, "scipy": scipy.__version__, "sklearn": sklearn.__version__}
