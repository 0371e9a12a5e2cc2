"""The certificate: a bound on the rate of bad answers, by Learn-then-Test on labels that nothing was tuned on.

R(λ), the share of bad answers among those sent at threshold λ, is not monotone in λ. So thresholds are tested one by
one from strict to lax, each at the whole δ (fixed-sequence testing): the first failure ends the walk, and the last that
passed is deployed (Angelopoulos et al. 2021, arXiv:2110.01052). What the bound does not cover: wrong labels, tickets of
another kind than those labelled, adversaries.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from math import exp, floor, log, log1p, nan

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.event import Aware, Probability

PROMISES = (
    0.2,
    0.1,
    0.05,
    0.03,
    0.021,
    0.01,
    0.005,
    0.0025,
    0.001,
)  # rates that a roll-out promises, one after another
FEW = 30  # accepted labels below which a rate says nothing of the labels needed
MOST_BAD = 200  # beyond so many bad answers no number of labels is worth naming


class CertificateError(ValueError):
    """The file is no certificate that proves what it promises; the message says why."""


# -- the statistics


def binomial_tail(bad: int, n: int, rate: float) -> float:
    """P(X <= bad) of a binomial with n trials: how surprising so few bad answers are if the rate were this one."""
    if bad >= n or rate <= 0.0:
        return 1.0
    if rate >= 1.0:
        return 0.0
    odds, term = log(rate) - log1p(-rate), n * log1p(-rate)
    total = exp(term)
    for k in range(bad):  # in logarithms: P(X = 0) of many trials is below what a float can hold
        term += log((n - k) / (k + 1)) + odds
        total += exp(term)
    return min(1.0, total)


def upper_bound(bad: int, n: int, delta: float) -> float:
    """The rate that n labels with so many bad ones do not exceed, at confidence 1 − δ (Clopper and Pearson 1934)."""
    low, high = 0.0, 1.0
    if bad >= n:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if binomial_tail(bad, n, middle) <= delta else (middle, high)
    return high


def fewest(risk: float, delta: float) -> int:
    """The accepted labels below which not even a clean record proves the promise: ln δ / ln(1 − risk), rounded up."""
    least = log(delta) / log1p(-risk)
    return floor(least) + (least > floor(least))


def accepted_needed(bad: int, risk: float, delta: float) -> int:
    """The accepted labels that prove the promise when so many of them are bad."""
    low, high = bad, fewest(risk, delta)
    while binomial_tail(bad, high, risk) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if binomial_tail(bad, middle, risk) <= delta else (middle, high)
    return high


# -- the walk


@dataclass(frozen=True)
class Tried:
    """A threshold that was tested."""

    threshold: float
    accepted: int
    bad: int
    tail: float  # P(so few bad ones | the rate is the promised one)
    passed: bool


@dataclass(frozen=True)
class Finding:
    """What the walk found. Without a threshold nothing may be sent, and the rest is of nothing."""

    risk: float
    delta: float
    n: int  # labelled tickets
    threshold: float | None  # the laxest one proved
    accepted: int
    bad: int
    bound: float  # of the rate of bad answers at the threshold; NaN without one
    tried: tuple[Tried, ...]  # from strict to lax, the last one failed unless the grid ended
    seen: tuple[tuple[int, int], ...]  # accepted and bad at every threshold of the grid, also those never tested

    @property
    def certified(self) -> bool:
        """Whether the promise is proved at some threshold."""
        return self.threshold is not None


def learn_then_test(
    scored: Sequence[tuple[float, bool]], *, risk: float, delta: float, grid: Sequence[float]
) -> Finding:
    """Test the thresholds of the grid from strict to lax until one fails.

    `scored` holds P(good) and whether the answer is bad, of every labelled ticket; one that is no candidate scores NaN
    and is accepted by no threshold. The grid must come from other labels than these.

    Raises:
        ValueError: risk or delta is no probability between 0 and 1.
    """
    if not (0.0 < risk < 1.0 and 0.0 < delta < 1.0):
        raise ValueError(f"risk {risk} and delta {delta} must lie between 0 and 1")
    walk = [_count(scored, threshold) for threshold in sorted(set(grid), reverse=True)]
    tried = tuple(_walk(walk, risk, delta))
    last = next((step for step in reversed(tried) if step.passed), None)
    return Finding(
        risk=risk,
        delta=delta,
        n=len(scored),
        threshold=last.threshold if last else None,
        accepted=last.accepted if last else 0,
        bad=last.bad if last else 0,
        bound=upper_bound(last.bad, last.accepted, delta) if last else nan,
        tried=tried,
        seen=tuple((accepted, bad) for _, accepted, bad in walk),
    )


def _count(scored: Iterable[tuple[float, bool]], threshold: float) -> tuple[float, int, int]:
    accepted = [bad for score, bad in scored if score >= threshold]
    return threshold, len(accepted), sum(accepted)


def _walk(walk: Iterable[tuple[float, int, int]], risk: float, delta: float) -> Iterator[Tried]:
    for threshold, accepted, bad in walk:
        if accepted < fewest(risk, delta):
            continue  # it could not pass, whatever its labels say
        tail = binomial_tail(bad, accepted, risk)
        yield Tried(threshold, accepted, bad, tail, tail <= delta)
        if tail > delta:
            return


# -- what the next promise costs


@dataclass(frozen=True)
class Plan:
    """The labels that a promise needs, if answers go on as they were seen."""

    risk: float
    accepted: int | None  # labels that the threshold accepts; None: no number of them
    labels: int | None  # in all


def tighter(risk: float) -> float:
    """The next rate below this one that a roll-out promises."""
    return next((promise for promise in PROMISES if promise < risk * 0.999), risk / 2)


def labels_for(finding: Finding, risk: float) -> Plan:
    """How many labels a promise needs at the threshold of the grid that needs the fewest."""
    plans = (
        (needed, round(needed * finding.n / accepted + 0.5))
        for accepted, bad in finding.seen
        if accepted >= FEW and (needed := _needed_at(bad / accepted, risk, finding.delta)) is not None
    )
    best = min(plans, key=lambda plan: plan[1], default=None)
    return Plan(risk, *best) if best else Plan(risk, None, None)


def _needed_at(rate: float, risk: float, delta: float) -> int | None:
    """The accepted labels that prove a promise where bad answers go on at this rate."""
    if rate >= risk:
        return None
    bad = 0
    while bad <= MOST_BAD:
        needed = accepted_needed(bad, risk, delta)
        if rate * needed <= bad:
            return needed
        bad = max(bad + 1, floor(rate * needed))
    return None


# -- the value


class Certificate(BaseModel):
    """A proved promise: of the answers to these intents that score the threshold, at most `risk` are bad.

    It cannot be made of figures that do not prove it. A field it does not know may restrict it, so none is ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    risk: float = Field(gt=0, lt=1)
    delta: float = Field(gt=0, lt=1)  # P(the promise is broken all the same), over draws of the labels
    threshold: Probability  # P(good) from which an answer may be sent
    intents: tuple[str, ...]  # covered; others are not
    n: int = Field(ge=0)  # labelled tickets
    accepted: int = Field(ge=0)  # of them, at the threshold
    bad: int = Field(ge=0)  # of those
    bound: Probability  # on the rate of bad answers, at confidence 1 − δ
    frozen: str = Field(min_length=1)  # hash of all that decides: models, policy, prompt, index, verifier, grid
    issued_at: Aware
    expires_at: Aware | None = None

    @model_validator(mode="after")
    def _proved(self) -> "Certificate":
        if not self.bad <= self.accepted <= self.n:
            raise ValueError(f"{self.bad} bad of {self.accepted} accepted of {self.n} labelled")
        if binomial_tail(self.bad, self.accepted, self.risk) > self.delta:
            raise ValueError(f"{self.bad} bad of {self.accepted} do not prove a rate of {self.risk} at {self.delta}")
        return self

    def admits(self, p_good: float | None, intent: str, frozen: str, at: datetime | None = None) -> bool:
        """Whether an answer may be sent under it; whatever is unknown, changed or past may not."""
        covered = intent in self.intents and self.valid(frozen, at)
        return covered and p_good is not None and self.threshold <= p_good <= 1.0

    def valid(self, frozen: str, at: datetime | None = None) -> bool:
        """Whether it was issued for what is deployed, and its time is not over."""
        return frozen == self.frozen and (self.expires_at is None or (at is not None and at < self.expires_at))


def issue(finding: Finding, *, intents: Iterable[str], frozen: str, issued_at: datetime) -> Certificate | None:
    """The certificate of a finding; None where it proves nothing."""
    if finding.threshold is None:
        return None
    return Certificate(
        risk=finding.risk,
        delta=finding.delta,
        threshold=finding.threshold,
        intents=tuple(sorted(intents)),
        n=finding.n,
        accepted=finding.accepted,
        bad=finding.bad,
        bound=finding.bound,
        frozen=frozen,
        issued_at=issued_at,
    )


class Certification(BaseModel):
    """The file that `sluice certify` writes: certificates that hold all at once, and the help centre they hold for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificates: tuple[Certificate, ...]
    sections: frozenset[str]  # fingerprints of the sections that answers may cite: a changed one was never measured
    made_of: dict[str, str | int] = Field(default_factory=dict)  # where it comes from: suite, splits, commit

    @model_validator(mode="after")
    def _apart(self) -> "Certification":
        intents = [intent for certificate in self.certificates for intent in certificate.intents]
        if len(intents) != len(set(intents)):
            raise ValueError("an intent is under two certificates")
        return self

    @classmethod
    def parse(cls, text: str) -> "Certification":
        """Read the file.

        Raises:
            CertificateError: it is none, or its figures do not prove its promises.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise CertificateError("; ".join(detail["msg"] for detail in error.errors())) from None

    def of(self, intent: str) -> Certificate | None:
        """The certificate that covers an intent."""
        return next((certificate for certificate in self.certificates if intent in certificate.intents), None)


def fingerprint(section: str) -> str:
    """Names a section's text: another text has another name."""
    return sha256(section.encode()).hexdigest()[:16]
