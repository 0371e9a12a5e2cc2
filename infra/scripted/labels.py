"""Audits and the guard's memory in memory, on scripted conversations, with the rules of the ones in Postgres."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from infra.postgres.labels import named
from infra.scripted.conversations import Claimed, ScriptedConversations
from processors.guard import Feedback, Watch
from processors.ports import (
    AuditCounts,
    Audited,
    AuditorKind,
    CitedText,
    CountedLabels,
    Drawn,
    GuardState,
    Label,
    Verdict,
)

Key = tuple[UUID, int]


class ScriptedLabels:
    """Audits of what these conversations have sent; `cited` are the texts that sources name."""

    def __init__(self, conversations: ScriptedConversations, cited: Iterable[CitedText] = ()) -> None:
        self._state = conversations.state
        self._clock = conversations.clock
        self._cited: Mapping[str, CitedText] = {text.source: text for text in cited}
        self._draws: dict[Key, datetime] = {}
        self._labels: list[Label] = []

    async def counts(self, since: datetime) -> AuditCounts:
        """How many answers went out by themselves since a moment, and how many of them were drawn."""
        keys = [_key(claim) for claim in self._sent(since)]
        return AuditCounts(len(keys), sum(key in self._draws for key in keys))

    async def draw(self, limit: int, *, seed: str, since: datetime) -> int:
        """Draw up to `limit` answers that were never drawn; how many."""
        keys = [key for claim in self._sent(since) if (key := _key(claim)) not in self._draws]
        chosen = sorted(keys, key=lambda key: sha256(f"{seed}:{key[0]}:{key[1]}".encode()).digest())[:limit]
        self._draws |= dict.fromkeys(chosen, self._clock.now())
        return len(chosen)

    async def waiting(self, kind: AuditorKind, auditor: str) -> tuple[Drawn, ...]:
        """The drawn answers without a verdict of any person, or of this machine."""
        judged = {
            (label.ticket_id, label.revision)
            for label in self._labels
            if label.kind is kind and (kind is AuditorKind.PERSON or label.auditor == auditor)
        }
        keys = sorted((key for key in self._draws if key not in judged), key=lambda key: (self._draws[key], key))
        return tuple(self._drawn(claim) for key in keys if (claim := self._claim(*key)))

    async def audited(self, ticket_id: UUID, revision: int) -> Audited | None:
        """The answer with what was asked and what it cites, or None where nothing went out by itself."""
        claim = self._claim(ticket_id, revision)
        if claim is None:
            return None
        talk = [m for m in self._state.messages if m.conversation == claim.request.conversation]
        asked = next(m for m in talk if m.ticket and m.ticket.ticket_id == ticket_id)
        answers = [m.message.text for m in talk if m.revision == revision and m.ticket is None]
        decision = self._state.decisions.get((ticket_id, revision))
        names = tuple(dict.fromkeys(named(source) for source in decision.sources)) if decision else ()
        return Audited(
            drawn=self._drawn(claim),
            subject=asked.ticket.subject if asked.ticket else "",
            body=asked.message.text,
            transcript=tuple(m.message for m in talk if m.revision < revision),
            answer=answers[0] if answers else "",
            decision=decision,
            cited=tuple(self._cited[name] for name in names if name in self._cited),
            lost=tuple(name for name in names if name not in self._cited),
        )

    async def label(
        self, ticket_id: UUID, revision: int, verdict: Verdict, *, auditor: str, kind: AuditorKind, reason: str = ""
    ) -> int | None:
        """Keep a verdict for good; its number, or None where it cannot be kept."""
        claim = self._claim(ticket_id, revision)
        judged = {(label.ticket_id, label.revision, label.kind, label.auditor) for label in self._labels}
        if claim is None or claim.settled_at is None or (ticket_id, revision, kind, auditor) in judged:
            return None
        label = Label(
            label_id=len(self._labels) + 1,
            ticket_id=ticket_id,
            revision=revision,
            intent=claim.request.intent,
            auditor=auditor,
            kind=kind,
            verdict=verdict,
            reason=reason,
            drawn=(ticket_id, revision) in self._draws,
            answered_at=claim.settled_at,
            at=self._clock.now(),
        )
        self._labels.append(label)
        return label.label_id

    async def labels(self, after: int = 0, limit: int = 1000) -> tuple[Label, ...]:
        """The verdicts after a number, in their order."""
        return tuple(self._labels[after : after + limit])

    def _sent(self, since: datetime) -> list[Claimed]:
        claims = self._state.claims.values()
        return [c for c in claims if _by_itself(c) and c.settled_at is not None and c.settled_at >= since]

    def _claim(self, ticket_id: UUID, revision: int) -> Claimed | None:
        wanted = (ticket_id, revision)
        return next((c for c in self._state.claims.values() if _key(c) == wanted and _by_itself(c)), None)

    def _drawn(self, claim: Claimed) -> Drawn:
        request, key = claim.request, _key(claim)
        assert claim.settled_at is not None
        return Drawn(*key, request.intent, request.channel.value, claim.settled_at, self._draws.get(key))


class ScriptedGuardMemory:
    """The guard's memory beside these audits."""

    def __init__(self, labels: ScriptedLabels) -> None:
        self._labels = labels
        self._kept = GuardState(0, Watch())

    async def load(self) -> GuardState:
        """What it knows."""
        return self._kept

    async def save(self, version: int, watch: Watch) -> int | None:
        """Put it in the place of that version; the new version, or None where another was faster."""
        if version != self._kept.version:
            return None
        self._kept = GuardState(version + 1, watch)
        return self._kept.version

    async def labels(self, after: int, *, machines: bool, limit: int = 500) -> CountedLabels:
        """The verdicts after a number, and which of them count."""
        everything = await self._labels.labels(0, after + limit)
        found, judged = [], set()
        for label in everything:
            allowed = machines or label.kind is AuditorKind.PERSON
            if not allowed or label.verdict is Verdict.UNSURE:
                continue
            key = (label.ticket_id, label.revision)
            if label.drawn and label.label_id > after and key not in judged:
                bad = label.verdict is Verdict.BAD
                found.append(Feedback(intent=label.intent, bad=bad, answered_at=label.answered_at))
            judged.add(key)
        return CountedLabels(tuple(found), max(after, len(everything)))


def _by_itself(claim: Claimed) -> bool:
    return claim.state == "sent" and claim.request.actor == "bot"


def _key(claim: Claimed) -> Key:
    return claim.request.ticket_id, claim.request.revision
