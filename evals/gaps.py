"""What the help centre lacks: tickets that nothing answers, gathered by what they are about."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from processors.redaction import redacted
from processors.sentences import stems

# Rules of the gate by which a ticket went to a person because nothing answers it, not because it must.
UNANSWERED = ("no-confident-source", "no-draft", "route-escalates")
# Cosine distance, on average, up to which tickets are of one cluster. Chosen on half of the topics of three public
# intent sets; on the other half 82-100 % of the gathered tickets share their cluster's topic, and 58-91 % are gathered.
APART = 0.5
MOST = 4_000  # tickets clustered at once: their distances take 64 MB
EXAMPLES = 3
WORDS = 4
SHOWN = 160  # characters of an example

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class Unanswered:
    """A ticket that nothing answered."""

    id: str
    text: str
    intent: str


@dataclass(frozen=True)
class Gap:
    """Tickets about one thing that nothing answers."""

    size: int
    words: tuple[str, ...]  # stems that set it apart from the others
    intents: tuple[str, ...]  # what the router took them for, most frequent first
    examples: tuple[str, ...]  # the ones in the middle of it, without what names a customer
    tickets: tuple[str, ...]  # all ids
    centre: tuple[float, ...]  # unit vector


def find_gaps(tickets: Sequence[Unanswered], vectors: Sequence[Sequence[float]], minimum: int) -> tuple[Gap, ...]:
    """Clusters of at least `minimum` tickets, the largest first.

    Average linkage over cosine distances: what is like nothing else stays alone, and belongs to no cluster.
    """
    if len(tickets) < max(2, minimum):
        return ()
    points = np.array(vectors, dtype=np.float64)
    model = AgglomerativeClustering(n_clusters=None, distance_threshold=APART, metric="cosine", linkage="average")
    labels = model.fit_predict(points)
    known = Counter(word for ticket in tickets for word in stems(ticket.text))
    groups = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    kept = [group for group in groups if len(group) >= minimum]
    found = [_gap([tickets[n] for n in group], points[group], known) for group in kept]
    return tuple(sorted(found, key=lambda gap: (-gap.size, gap.tickets)))


def _gap(tickets: Sequence[Unanswered], points: Vectors, known: Counter[str]) -> Gap:
    centre = points.mean(axis=0)
    centre /= np.linalg.norm(centre) or 1.0
    order: list[int] = np.argsort(-(points @ centre), kind="stable").tolist()
    return Gap(
        size=len(tickets),
        words=_words(tickets, known),
        intents=tuple(intent for intent, _ in Counter(ticket.intent for ticket in tickets).most_common(2)),
        examples=tuple(_shown(tickets[n].text) for n in order[:EXAMPLES]),
        tickets=tuple(ticket.id for ticket in tickets),
        centre=tuple(centre.tolist()),
    )


def _words(tickets: Sequence[Unanswered], known: Counter[str]) -> tuple[str, ...]:
    """Words of many tickets here and few elsewhere: n²/N, in n of these tickets and N of all."""
    here = Counter(word for ticket in tickets for word in stems(redacted(ticket.text)))
    weight = {word: count * count / max(known[word], 1) for word, count in here.items() if count > 1}
    return tuple(sorted(weight, key=lambda word: (-weight[word], word))[:WORDS])


def _shown(text: str) -> str:
    plain = " ".join(redacted(text).split())
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 2].rsplit(" ", 1)[0] + " …"
