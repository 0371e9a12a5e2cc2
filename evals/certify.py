"""Certify a suite's answers: learn the score on one split, prove the promise on another that is used once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random

from evals.dataset import LabelledTicket
from evals.prediction import Prediction, answer_of, label_of
from evals.scorers import AUTO, faults
from evals.train.selective import Judged, Scored, fit
from processors.certificate import Finding, Plan, binomial_tail, labels_for, learn_then_test, tighter

SHARE = 0.4  # of a labelled pool that tunes, where a suite has no splits of its own (Learn-then-Test, section 4)
STEPS = 20  # thresholds tried at most: quantiles of what the gate would send of the tune split
SENT_BUT_FOR = ("all-clear", "no-certificate", "below-certificate")  # the gate's last rows, whatever is in force

Pairs = Sequence[tuple[Prediction, LabelledTicket]]


@dataclass(frozen=True)
class Promise:
    """A rate of bad answers that is promised of some intents; None means all that have no promise of their own."""

    risk: float
    intent: str | None = None


@dataclass(frozen=True)
class Proof:
    """A promise beside what the labels say of it."""

    promise: Promise
    intents: tuple[str, ...]  # that it would cover
    finding: Finding
    grid: tuple[float, ...]  # the thresholds to test, chosen on the tune split
    drafts: int  # of the certify split, that the gate would send but for the certificate

    @property
    def plan(self) -> Plan:
        """The labels that this promise needs where it is refused, or the next tighter one where it is proved."""
        risk = self.promise.risk
        return labels_for(self.finding, tighter(risk) if self.finding.certified else risk)

    @property
    def deflection(self) -> float:
        """Of all tickets of the split, the share that would be sent at the threshold."""
        return self.finding.accepted / self.finding.n if self.finding.n else 0.0


@dataclass(frozen=True)
class Certifying:
    """What `certify` found: the score, and a proof for each promise, refused or not."""

    scored: Scored
    proofs: tuple[Proof, ...]
    tune: int  # tickets
    certify: int

    @property
    def certified(self) -> bool:
        """Whether every promise is proved."""
        return all(proof.finding.certified for proof in self.proofs)

    @property
    def deflection(self) -> float:
        """Of all tickets of the certify split, the share that would be sent under the promises proved."""
        return sum(proof.deflection for proof in self.proofs)


def judged(pairs: Pairs) -> list[Judged]:
    """The predictions of a split beside its labels."""
    return [
        Judged(
            id=row.id,
            group=ticket.group,
            intent=row.intent,
            signals=row.signals,
            candidate=row.rule in SENT_BUT_FOR,
            bad=bool(faults(answer_of(row.model_copy(update={"disposition": AUTO})), label_of(ticket))),
        )
        for row, ticket in pairs
    ]


def certify(tune: Sequence[Judged], holdout: Sequence[Judged], promises: Sequence[Promise], delta: float) -> Certifying:
    """Learn on `tune`, prove on `holdout`; δ is shared evenly by the promises (Bonferroni), so that all hold at once.

    Raises:
        ValueError: a customer or ticket is in both splits, or two promises are for the same intents.
    """
    if shared := {row.group for row in tune} & {row.group for row in holdout}:
        raise ValueError(f"{len(shared)} customers are in both splits, such as {min(shared)}")
    if len({promise.intent for promise in promises}) != len(promises):
        raise ValueError("two promises are for the same intents")
    scored = fit(tune)
    own = {promise.intent for promise in promises if promise.intent is not None}
    seen = {row.intent for row in tune if row.signals}
    proofs = []
    for promise in promises:
        intents = {promise.intent} if promise.intent is not None else seen - own
        proofs.append(_prove(promise, intents & seen, (tune, holdout), scored, delta / len(promises)))
    return Certifying(scored, tuple(proofs), len(tune), len(holdout))


def _prove(
    promise: Promise,
    intents: set[str],
    splits: tuple[Sequence[Judged], Sequence[Judged]],
    scored: Scored,
    delta: float,
) -> Proof:
    tune, holdout = splits
    at_home = [
        (score if _covered(row, intents) else math.nan, row.bad)
        for score, row in zip(scored.held_out, tune, strict=True)
    ]
    grid = choose(at_home, risk=promise.risk, delta=delta, labels=len(holdout))
    away = [(_score(row, scored, intents), row.bad) for row in holdout]
    finding = learn_then_test(away, risk=promise.risk, delta=delta, grid=grid)
    return Proof(
        promise=promise,
        intents=tuple(sorted(intents)),
        finding=finding,
        grid=grid,
        drafts=sum(_covered(row, intents) for row in holdout),
    )


def _covered(row: Judged, intents: set[str]) -> bool:
    return row.candidate and row.intent in intents


def _score(row: Judged, scored: Scored, intents: set[str]) -> float:
    score = scored.model.p_good(row.signals, row.intent) if _covered(row, intents) else None
    return math.nan if score is None else score


def choose(scored: Sequence[tuple[float, bool]], *, risk: float, delta: float, labels: int) -> tuple[float, ...]:
    """The thresholds to test, from strict to lax: from the one that is likeliest to pass on so many labels.

    Stricter ones accept too few to pass with a bad answer or two; starting there would waste the walk on them.
    """
    sent = sorted(((score, bad) for score, bad in scored if not math.isnan(score)), reverse=True)
    places = sorted({math.ceil(len(sent) * step / STEPS) for step in range(1, STEPS + 1)}) if sent else []
    passes = []
    for place in places:
        rate = (sum(bad for _, bad in sent[:place]) + 0.5) / (place + 1)
        passes.append(_chance(rate, round(labels * place / len(scored)), risk, delta))
    start = passes.index(max(passes)) if passes else 0
    return tuple(dict.fromkeys(sent[place - 1][0] for place in places[start:]))


def _chance(rate: float, accepted: int, risk: float, delta: float) -> float:
    """P(the threshold passes), where answers are bad at this rate and so many are accepted."""
    allowed = -1
    while allowed + 1 < accepted and binomial_tail(allowed + 1, accepted, risk) <= delta:
        allowed += 1
    return binomial_tail(allowed, accepted, rate) if allowed >= 0 else 0.0


# -- its validity


@dataclass(frozen=True)
class Validity:
    """How often the certificate is broken when a labelled pool is parted again and again."""

    splits: int
    certified: int  # splits in which a threshold was proved
    violated: int  # of them, those whose true rate of bad answers is above the promise
    violated_rest: int  # the same by the third part of the pool alone: a smaller sample, and a noisier word
    deflection: float  # mean over all splits
    naive_violated: int  # by the laxest threshold whose rate on the certify part keeps the promise

    @property
    def share(self) -> float:
        """Of all splits."""
        return self.violated / self.splits if self.splits else 0.0


def every_draft(pool: Sequence[Judged]) -> list[Judged]:
    """The pool as if the gate let every draft pass, so that the certificate alone is tested, and on more of them."""
    return [replace(row, candidate=bool(row.signals)) for row in pool]


def validity(pool: Sequence[Judged], promise: Promise, delta: float, splits: int, seed: int = 0) -> Validity:
    """Part the pool by customer into tune, certify and rest, certify, and see what is true of all but tune.

    The pool without its tune part is the population, and the certify part a random half of it: what is true of a
    threshold is then known exactly, and no sampling error of a small test part is counted as a broken promise.
    """
    random = Random(seed)
    runs = [_one(pool, promise, delta, random) for _ in range(splits)]
    return Validity(
        splits=splits,
        certified=sum(run.threshold is not None for run in runs),
        violated=sum(run.violated for run in runs),
        violated_rest=sum(run.violated_rest for run in runs),
        deflection=sum(run.deflection for run in runs) / splits,
        naive_violated=sum(run.naive_violated for run in runs),
    )


@dataclass(frozen=True)
class _Run:
    threshold: float | None
    violated: bool
    violated_rest: bool
    deflection: float
    naive_violated: bool


def _one(pool: Sequence[Judged], promise: Promise, delta: float, random: Random) -> _Run:
    groups = sorted({row.group for row in pool})
    random.shuffle(groups)
    first, second = round(len(groups) * SHARE), round(len(groups) * (1 + SHARE) / 2)
    tune, holdout, rest = (
        [row for row in pool if row.group in mine]
        for mine in map(set, (groups[:first], groups[first:second], groups[second:]))
    )
    found = certify(tune, holdout, (promise,), delta)
    (proof,) = found.proofs
    score = {row.id: _score(row, found.scored, set(proof.intents)) for row in (*holdout, *rest)}
    threshold = proof.finding.threshold
    sampled = [(score[row.id], row.bad) for row in holdout]
    return _Run(
        threshold=threshold,
        violated=_rate([*holdout, *rest], score, threshold) > promise.risk,
        violated_rest=_rate(rest, score, threshold) > promise.risk,
        deflection=proof.deflection,
        naive_violated=_rate([*holdout, *rest], score, _naive(sampled, promise.risk)) > promise.risk,
    )


def _naive(sampled: Sequence[tuple[float, bool]], risk: float) -> float | None:
    """The laxest threshold whose rate on the sample keeps the promise."""
    lax, sent, bad = None, 0, 0
    for score, wrong in sorted(((s, b) for s, b in sampled if not math.isnan(s)), reverse=True):
        sent, bad = sent + 1, bad + wrong
        lax = score if bad <= risk * sent else lax
    return lax


def _rate(rows: Sequence[Judged], score: Mapping[str, float], threshold: float | None) -> float:
    """Bad ÷ sent at the threshold; 0 where nothing is sent."""
    sent = [row.bad for row in rows if threshold is not None and score[row.id] >= threshold]
    return sum(sent) / len(sent) if sent else 0.0


# -- parting a pool


def part(tickets: Sequence[LabelledTicket], seed: int = 0) -> tuple[list[LabelledTicket], list[LabelledTicket]]:
    """Tune and certify parts of tickets that the suite does not part itself, by a hash of the customer."""
    tune = [ticket for ticket in tickets if _tunes(ticket.group, seed)]
    return tune, [ticket for ticket in tickets if not _tunes(ticket.group, seed)]


def _tunes(group: str, seed: int) -> bool:
    return sha256(f"certify:{seed}:{group}".encode()).digest()[0] < SHARE * 256
