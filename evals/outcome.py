"""How good the whole path is: the figures of a report, with their intervals and where they come from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evals import gate, resolution, retrieval, router
from evals.curves import chances, reliability, risk_coverage
from evals.dataset import LabelledTicket
from evals.measures import Beside, measures
from evals.prediction import Prediction, answer_of, label_of
from evals.scorers import AUTO, HANDOFF, SUGGEST, Quality, faults, quality, wilson

Pairs = Sequence[tuple[Prediction, LabelledTicket]]


@dataclass(frozen=True)
class Provenance:
    """What the figures were measured with."""

    suite: str
    split: str
    trained_on: str  # which tickets the trained parts saw, in words
    seen: int  # how many of the tickets judged they saw: figures of those flatter
    stage: str  # the last one that was run
    models: dict[str, str]  # role → provider/name
    policy_hash: str
    config_hash: str
    commit: str  # of the code, or "unknown" outside a checkout


def report(pairs: Pairs, provenance: Provenance, beside: Beside) -> dict[str, Any]:
    """`report.json`. Rates are null where there is nothing to count. Groundedness is by the verifier: no suite labels
    sentences. `measures` are the figures by name, each with its n and interval; the router's stand apart from the
    others."""
    counted = quality((answer_of(row), label_of(ticket)) for row, ticket in pairs)
    latencies = sorted(row.latency_ms for row, _ in pairs)
    return {
        "provenance": asdict(provenance),
        "tickets": counted.tickets,
        "auto_sent": counted.auto_sent,
        "suggested": sum(row.disposition == SUGGEST for row, _ in pairs),
        "handed_off": sum(row.disposition == HANDOFF for row, _ in pairs),
        **rates(counted),
        "groundedness_by": "verifier",
        "measures": [asdict(found) for found in measures(pairs, beside, provenance.stage)],
        "router": asdict(router.evaluate(pairs)),
        "gate": asdict(gate.evaluate(pairs)),
        "retrieval": [asdict(recall) for recall in retrieval.evaluate(pairs)],
        "resolution": asdict(resolution.evaluate(pairs)),
        "intents": by_intent(pairs),
        "channels": by_channel(pairs),
        "reliability": [asdict(found) for found in reliability(chances(pairs))],
        "risk_coverage": [asdict(point) for point in risk_coverage(pairs)],
        "cost_usd": sum(row.cost_usd for row, _ in pairs),
        "p50_ms": latencies[len(latencies) // 2] if latencies else None,
        "p95_ms": latencies[int(len(latencies) * 0.95)] if latencies else None,
        "bad": [{"id": row.id, "faults": found} for row, ticket in pairs if (found := faults_of(row, ticket))],
    }


def rates(counted: Quality) -> dict[str, Any]:
    """The rates of a run with n and their 95 % intervals."""
    return {
        "deflection": counted.deflection,
        "deflection_interval": wilson(counted.auto_sent, counted.tickets),
        "groundedness": counted.groundedness,
        "bad_answers": counted.bad,
        "bad_rate": counted.bad_rate,
        "bad_interval": wilson(counted.bad, counted.auto_sent),
        "intent_accuracy": counted.intents_right / counted.intents_labelled if counted.intents_labelled else None,
        "intent_accuracy_interval": wilson(counted.intents_right, counted.intents_labelled),
    }


def faults_of(row: Prediction, ticket: LabelledTicket) -> tuple[str, ...]:
    """Why an auto-sent answer is bad; empty otherwise."""
    return faults(answer_of(row), label_of(ticket))


def by_intent(pairs: Pairs) -> list[dict[str, Any]]:
    """Tickets by the intent they were labelled with and what became of them, most first."""
    cells = Counter((ticket.intent_label or row.intent, row.disposition) for row, ticket in pairs)
    bad = Counter(ticket.intent_label or row.intent for row, ticket in pairs if faults_of(row, ticket))
    totals = Counter(ticket.intent_label or row.intent for row, ticket in pairs)
    right = Counter(ticket.intent_label for row, ticket in pairs if row.intent == ticket.intent_label)
    return [
        {
            "intent": intent,
            "tickets": total,
            **{name: cells[(intent, name)] for name in (AUTO, SUGGEST, HANDOFF)},
            "bad": bad[intent],
            "topic_right": right[intent],
        }
        for intent, total in totals.most_common()
    ]


def by_channel(pairs: Pairs) -> list[dict[str, Any]]:
    """Tickets by the channel they came by and what became of them, most first; latencies in milliseconds."""
    found = Counter(ticket.channel for _, ticket in pairs)
    return [_channel(name, [pair for pair in pairs if pair[1].channel == name]) for name, _ in found.most_common()]


def _channel(name: str, pairs: Pairs) -> dict[str, Any]:
    dispositions = Counter(row.disposition for row, _ in pairs)
    latencies = sorted(row.latency_ms for row, _ in pairs)
    return {
        "channel": name,
        "tickets": len(pairs),
        **{disposition: dispositions[disposition] for disposition in (AUTO, SUGGEST, HANDOFF)},
        "bad": sum(bool(faults_of(row, ticket)) for row, ticket in pairs),
        "p50_ms": latencies[len(latencies) // 2],
    }
