"""How one answer is judged against its label, in the words every report uses (docs/architecture.md, "The gate")."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

AUTO, SUGGEST, HANDOFF = "auto", "suggest", "handoff"

Reference = tuple[str, str | None]  # article id (or "crm:<record>"), section id (None: any section)


@dataclass(frozen=True)
class Label:
    """What a careful support lead wanted of a ticket."""

    band: str | None  # auto, suggest, escalate; None where the suite does not say
    sources: tuple[Reference, ...] = ()
    facts: tuple[str, ...] = ()  # strings a right answer contains
    intent: str | None = None
    must_not_auto: bool = False


@dataclass(frozen=True)
class Answer:
    """What the pipeline did with it."""

    disposition: str  # auto, suggest, handoff
    intent: str | None
    text: str
    cited: tuple[Reference, ...]
    supported: bool  # every sentence of the text is supported


def faults(answer: Answer, label: Label) -> tuple[str, ...]:
    """Why an auto-sent answer is *bad*; empty when it is good, or was not auto-sent.

    Bad: auto-sent, and the expected band is not auto, or no expected source is cited where one is expected, or an
    expected fact is missing.
    """
    if answer.disposition != AUTO:
        return ()
    found = []
    if label.must_not_auto or label.band not in (None, AUTO):
        found.append(f"expected {label.band or 'a person'}")
    if label.sources and not cites_expected(answer.cited, label.sources):
        found.append("no expected source cited")
    found += [f"fact missing: {fact}" for fact in label.facts if not contains(answer.text, fact)]
    return tuple(found)


def cites_expected(cited: Iterable[Reference], expected: Iterable[Reference]) -> bool:
    """Whether any citation is an expected source. A label without a section accepts any section of its article."""
    wanted = set(expected)
    return any(reference in wanted or (reference[0], None) in wanted for reference in cited)


def contains(text: str, fact: str) -> bool:
    """Whether a fact stands in a text, whatever the case, spacing, typographic signs and Markdown emphasis."""
    return re.search(rf"(?<![\w.]){re.escape(_plain(fact))}(?!\w|\.\d)", _plain(text)) is not None


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).translate({0x2019: "'", 0x2013: "-", 0x2014: "-", 0x2011: "-"})
    return re.sub(r"\s+", " ", re.sub(r"[*`]|\b_|_\b", "", folded)).strip().casefold()


@dataclass(frozen=True)
class Quality:
    """The quality of a run over labelled tickets. Rates are None where nothing can be counted."""

    tickets: int
    auto_sent: int
    bad: int
    grounded: int
    intents_right: int
    intents_labelled: int

    @property
    def deflection(self) -> float | None:
        """Auto-sent ÷ tickets."""
        return self.auto_sent / self.tickets if self.tickets else None

    @property
    def groundedness(self) -> float | None:
        """Auto-sent answers whose every sentence is supported, ÷ auto-sent."""
        return self.grounded / self.auto_sent if self.auto_sent else None

    @property
    def bad_rate(self) -> float | None:
        """Bad answers ÷ auto-sent."""
        return self.bad / self.auto_sent if self.auto_sent else None


def quality(pairs: Iterable[tuple[Answer, Label]]) -> Quality:
    """Count over answers and their labels."""
    judged = list(pairs)
    sent = [(answer, label) for answer, label in judged if answer.disposition == AUTO]
    labelled = [(answer, label) for answer, label in judged if label.intent is not None]
    return Quality(
        tickets=len(judged),
        auto_sent=len(sent),
        bad=sum(bool(faults(answer, label)) for answer, label in sent),
        grounded=sum(answer.supported for answer, _ in sent),
        intents_right=sum(answer.intent == label.intent for answer, label in labelled),
        intents_labelled=len(labelled),
    )


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float] | None:
    """Wilson's score interval of a proportion (Wilson 1927), 95 % by default; None of nothing."""
    if n == 0:
        return None
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * ((share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
