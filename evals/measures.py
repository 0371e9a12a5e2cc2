"""The figures of an evaluation by name, each with its n and its 95 % interval: what bars and comparisons are about."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.metrics import roc_auc_score

from evals.dataset import OUT_OF_SCOPE, LabelledTicket
from evals.prediction import Prediction, answer_of, label_of
from evals.router import calibration_error
from evals.scorers import AUTO, cites_expected, faults, wilson
from schemas.router import Band

Pair = tuple[Prediction, LabelledTicket]
Pairs = Sequence[Pair]

KS = (1, 3, 5)
RESAMPLES = 400
RECORDS = "records-"  # how the ids of generated questions about a customer's records begin (`evals.records`)
NOWHERE = ("", "unknown", OUT_OF_SCOPE)  # intents that are no topic
PROMISE = re.compile(
    r"\b(?:I|we)(?:'ve|'ll| have| will| am going to| are going to)\s+(?:(?:now|just|already|gladly|also)\s+)*"
    r"(?:cancel|refund|return|exchang|modif|chang|updat|ship|credit|book|transfer|clos|open|reset|approv|issu|send|"
    r"process|increas|replac|remov|add)\w*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Measure:
    """A figure over labelled tickets; `value` and the interval are None where nothing can be counted."""

    name: str
    meaning: str
    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    interval: str = "Wilson"  # of 95 %; or bootstrap


@dataclass(frozen=True)
class Beside:
    """What some figures need beside the rows."""

    internal: Collection[str] = ()  # ids of articles that no customer may see
    precise_from: float | None = None  # confidence from which nine in ten topics are right, fixed in training
    caught: Sequence[Mapping[str, object]] = field(default=())  # planted faults by kind, cross-fitted in training


def share(name: str, meaning: str, hits: Iterable[bool]) -> Measure:
    """A proportion, with Wilson's interval."""
    found = list(hits)
    low, high = wilson(sum(found), len(found)) or (None, None)
    return Measure(name, meaning, sum(found) / len(found) if found else None, len(found), low, high)


def measures(pairs: Pairs, beside: Beside, stage: str) -> list[Measure]:
    """Every figure that the stages run can give, those without a ticket left out."""
    parts: list[Callable[[Pairs, Beside], Iterator[Measure]]] = [routing]
    if stage != "router":
        parts.append(finding)
    if stage in ("resolution", "gate"):
        parts.append(drafting)
    if stage == "gate":
        parts += [sending, verifying]
    return [found for part in parts for found in part(pairs, beside) if found.n]


# -- by stage


def routing(pairs: Pairs, beside: Beside) -> Iterator[Measure]:
    """Topics: right, honestly unsure, and out of scope told apart."""
    named = [(row, ticket) for row, ticket in pairs if ticket.intent_label and not ticket.out_of_scope]
    yield share(
        "intent_accuracy", "topic right, of tickets in scope", (row.intent == t.intent_label for row, t in named)
    )
    topics = [(row, ticket) for row, ticket in pairs if ticket.intent_label or ticket.out_of_scope]
    read = [(row.confidence, _topic_right(row, ticket)) for row, ticket in topics if row.confidence > 0]
    yield _bootstrapped(
        "calibration_error", "expected distance of confidence and accuracy, 15 bins", read, calibration_error
    )
    if beside.precise_from is not None and topics:
        least = beside.precise_from
        sure = [(row, ticket) for row, ticket in topics if row.confidence >= least and row.intent not in NOWHERE]
        yield share(
            "coverage_at_90",
            f"topics named with the confidence of 90 % precision in training ({least:.3f}), of all tickets",
            (row.confidence >= least and row.intent not in NOWHERE for row, _ in topics),
        )
        yield share("precision_at_90", "topic right, of those", (_topic_right(row, ticket) for row, ticket in sure))
    scope = [(_scope_score(row), not ticket.out_of_scope) for row, ticket in pairs]
    if any(inside for _, inside in scope) and not all(inside for _, inside in scope):
        yield _bootstrapped("out_of_scope_auroc", "in scope told from out of scope, by the confidence", scope, _auroc)


def finding(pairs: Pairs, beside: Beside) -> Iterator[Measure]:
    """Retrieval: an expected article or section among the first k."""
    gold = [(row, ticket) for row, ticket in pairs if _gold(ticket)]
    for suffix, meaning, rows in (
        ("", "tickets with a labelled source", gold),
        ("_auto", "tickets whose band is auto", [(row, t) for row, t in gold if t.expected_band is Band.AUTO]),
    ):
        for k in KS:
            yield share(
                f"article_at_{k}{suffix}",
                f"an expected article among the first {k}, of {meaning}",
                (_found(row, ticket, k, whole=True) for row, ticket in rows),
            )
            yield share(
                f"section_at_{k}{suffix}",
                f"an expected section among the first {k}, of {meaning}",
                (_found(row, ticket, k, whole=False) for row, ticket in rows),
            )


def drafting(pairs: Pairs, beside: Beside) -> Iterator[Measure]:
    """Drafts, whatever the gate does with them."""
    answerable = [(row, ticket) for row, ticket in pairs if ticket.expected_band is Band.AUTO]
    yield share(
        "drafted", "a draft was written, of tickets whose band is auto", (bool(r.answer) for r, _ in answerable)
    )
    yield share(
        "drafted_with_gold",
        "a draft cites an expected source, of tickets whose band is auto and that name one",
        (_cites_gold(row, ticket) for row, ticket in answerable if label_of(ticket).sources),
    )
    if beside.internal:
        drafts = [row for row, _ in pairs if row.answer]
        yield share(
            "internal_drafted",
            "a draft or source is an internal document, of all tickets",
            (_is_internal(row, beside.internal) for row, _ in pairs),
        )
        yield share(
            "internal_quoted",
            "a reply sent by itself cites an internal document, of drafts",
            (row.disposition == AUTO and _is_internal(row, beside.internal) for row in drafts),
        )


def sending(pairs: Pairs, beside: Beside) -> Iterator[Measure]:
    """What the gate sends by itself."""
    auto = [(row, ticket) for row, ticket in pairs if row.disposition == AUTO]
    banded = [(row, ticket) for row, ticket in pairs if ticket.expected_band is not None]
    yield share("deflection", "sent by itself, of all tickets", (row.disposition == AUTO for row, _ in pairs))
    labelled = [(row, t) for row, t in auto if t.expected_band is not None or t.expected_sources or t.expected_facts]
    yield share("bad_rate", "bad, of what was sent by itself", (_bad(row, ticket) for row, ticket in labelled))
    yield share(
        "groundedness",
        "every sentence supported by the verifier, of what was sent by itself",
        (answer_of(row).supported for row, _ in auto),
    )
    for band in Band:
        yield share(
            f"{band.value}_auto_sent",
            f"sent by itself, of tickets whose band is {band.value}",
            (row.disposition == AUTO for row, ticket in banded if ticket.expected_band is band),
        )
    yield share(
        "auto_sent_with_gold",
        "sent by itself and citing an expected source, of tickets whose band is auto and that name one",
        (
            row.disposition == AUTO and _cites_gold(row, ticket)
            for row, ticket in banded
            if ticket.expected_band is Band.AUTO and label_of(ticket).sources
        ),
    )
    yield share(
        "must_not_auto_sent",
        "sent by itself, of tickets that must not be",
        (row.disposition == AUTO for row, ticket in pairs if ticket.must_not_auto),
    )
    yield share(
        "state_promised",
        "sent by itself and promising or telling of an act, of all tickets",
        (row.disposition == AUTO and PROMISE.search(row.answer) is not None for row, _ in pairs),
    )
    asked = [(row, t) for row, t in pairs if t.id.startswith(RECORDS) and t.expected_band is Band.AUTO]
    yield share(
        "records_answered",
        "sent by itself, from the right record, with the right value, of generated questions about records",
        (row.disposition == AUTO and not _bad(row, ticket) for row, ticket in asked),
    )
    judged = [(good_chance(row), good_if_sent(row, ticket)) for row, ticket in banded if row.answer]
    if len({good for _, good in judged}) == 2:
        yield _bootstrapped("good_auroc", "good answers told from bad ones by P(good), of drafts", judged, _auroc)


def verifying(pairs: Pairs, beside: Beside) -> Iterator[Measure]:
    """Planted faults that the gate stops where it stops one good answer in ten: cross-fitted on the training half."""
    for kind in beside.caught:
        n, stopped = int(str(kind["n"])), int(str(kind["at_tenth"]))
        name = re.sub(r"\W+", "_", str(kind["kind"]))
        yield share(
            f"stopped_{name}",
            f"answers with the planted fault {kind['kind']} stopped, where one good one in ten is (training half)",
            (at < stopped for at in range(n)),
        )


# -- by ticket


def good_if_sent(row: Prediction, ticket: LabelledTicket) -> bool:
    """Whether the drafted answer would be good if it were sent by itself."""
    return bool(row.answer) and not faults(replace(answer_of(row), disposition=AUTO), label_of(ticket))


def good_chance(row: Prediction) -> float:
    """P(the answer is good) as far as the run knows it: the learned one, else the worst sentence's support."""
    return row.groundedness if row.p_good is None else row.p_good


def _bad(row: Prediction, ticket: LabelledTicket) -> bool:
    return bool(faults(answer_of(row), label_of(ticket)))


def _topic_right(row: Prediction, ticket: LabelledTicket) -> bool:
    return row.intent == (OUT_OF_SCOPE if ticket.out_of_scope else ticket.intent_label)


def _scope_score(row: Prediction) -> float:
    """How sure the router is that a ticket is in scope, as far as its row tells."""
    if row.intent == OUT_OF_SCOPE:
        return 1.0 - row.confidence
    return 0.0 if row.intent in NOWHERE else row.confidence


def _gold(ticket: LabelledTicket) -> list[tuple[str, str | None]]:
    return [source for source in label_of(ticket).sources if not source[0].startswith("crm:")]


def _found(row: Prediction, ticket: LabelledTicket, k: int, *, whole: bool) -> bool:
    """`whole`: an article counts whatever its section."""
    first = [(source.article_id, None if whole else source.section_id) for source in row.sources[:k]]
    return cites_expected(first, [(article, None if whole else section) for article, section in _gold(ticket)])


def _cites_gold(row: Prediction, ticket: LabelledTicket) -> bool:
    """Whether the answer cites an expected article, whatever its section: what a customer is led to."""
    cited = [(article, None) for article, _ in answer_of(row).cited]
    return cites_expected(cited, [(article, None) for article, _ in label_of(ticket).sources])


def _is_internal(row: Prediction, internal: Collection[str]) -> bool:
    named = {source.article_id for source in row.sources} | {s.article_id for s in row.sentences if s.article_id}
    return not named.isdisjoint(internal)


# -- intervals without a formula


def _auroc(rows: Sequence[tuple[float, bool]]) -> float:
    """NaN where all rows are of one kind."""
    truth = [right for _, right in rows]
    return float(roc_auc_score(truth, [score for score, _ in rows])) if len(set(truth)) == 2 else float("nan")


def _bootstrapped(
    name: str,
    meaning: str,
    rows: Sequence[tuple[float, bool]],
    figure: Callable[[Sequence[tuple[float, bool]]], float],
) -> Measure:
    """A figure with its percentile bootstrap interval (Efron 1979), by a fixed seed."""
    if not rows:
        return Measure(name, meaning, None, 0, interval="bootstrap")
    random = np.random.default_rng(0)
    drawn = (random.integers(len(rows), size=len(rows)) for _ in range(RESAMPLES))
    found = np.array([figure([rows[at] for at in places]) for places in drawn])
    found = found[np.isfinite(found)]
    low, high = np.quantile(found, (0.025, 0.975)) if len(found) else (None, None)
    return Measure(
        name,
        meaning,
        figure(rows),
        len(rows),
        None if low is None else float(low),
        None if high is None else float(high),
        "bootstrap",
    )
