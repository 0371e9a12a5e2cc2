"""Audits in Postgres: the sample, the answers as an auditor reads them, and the verdicts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from infra.postgres.pool import Pool, fetch, fetch_value, storable
from processors.ports import AuditCounts, Audited, AuditorKind, CitedText, Drawn, Label, Verdict
from schemas.gate import Decision, SourceUsed
from schemas.router import Author, Message

RECORD = "crm:"


class PostgresLabels:
    """Audits, by the login role auditor. Every method raises DependencyDown when Postgres does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def counts(self, since: datetime) -> AuditCounts:
        """How many answers went out by themselves since a moment, and how many of them were drawn."""
        (row,) = await fetch(self._pool, "audit_counts", {"since": since})
        return AuditCounts(**row)

    async def draw(self, limit: int, *, seed: str, since: datetime) -> int:
        """Draw up to `limit` answers that were never drawn; how many."""
        parameters = {"limit": limit, "seed": storable(seed), "since": since}
        return len(await fetch(self._pool, "audit_draw", parameters))

    async def waiting(self, kind: AuditorKind, auditor: str) -> tuple[Drawn, ...]:
        """The drawn answers without a verdict of any person, or of this machine."""
        rows = await fetch(self._pool, "audit_drawn", {"kind": kind.value, "auditor": storable(auditor)})
        return tuple(Drawn(**row) for row in rows)

    async def audited(self, ticket_id: UUID, revision: int) -> Audited | None:
        """The answer with what was asked and what it cites, or None where nothing went out by itself."""
        rows = await fetch(self._pool, "audit_answer", {"ticket": ticket_id, "revision": revision})
        if not rows:
            return None
        row = rows[0]
        decision = Decision.model_validate(row["decision"]) if row["decision"] is not None else None
        sources = decision.sources if decision else ()
        cited = (*await self._sections(sources), *await self._records(sources, row["customer_id"]))
        shown = {text.source for text in cited}
        return Audited(
            drawn=_drawn(row),
            subject=row["subject"],
            body=row["body"],
            transcript=await self._talk(row),
            answer=row["answer"] or "",
            decision=decision,
            cited=cited,
            lost=tuple(dict.fromkeys(name for source in sources if (name := named(source)) not in shown)),
        )

    async def _talk(self, row: Mapping[str, Any]) -> tuple[Message, ...]:
        place = {"conversation": row["conversation"], "revision": row["revision"]}
        rows = await fetch(self._pool, "audit_talk", place)
        return tuple(Message(author=Author(found["author"]), text=found["text"], at=found["at"]) for found in rows)

    async def _sections(self, sources: Sequence[SourceUsed]) -> tuple[CitedText, ...]:
        wanted = [source for source in sources if not source.article_id.startswith(RECORD)]
        parameters = {
            "articles": [source.article_id for source in wanted],
            "sections": [source.section_id for source in wanted],
            "versions": [source.version for source in wanted],
        }
        rows = await fetch(self._pool, "audit_sections", parameters)
        found = {(row["article_id"], row["section_id"], row["version"]): row for row in rows}
        keys = dict.fromkeys((source.article_id, source.section_id, source.version) for source in wanted)
        return tuple(
            CitedText(f"{key[0]}#{key[1]}", found[key]["title"], found[key]["text"], key[2])
            for key in keys
            if key in found
        )

    async def _records(self, sources: Sequence[SourceUsed], customer_id: str | None) -> tuple[CitedText, ...]:
        names = [source.article_id.removeprefix(RECORD) for source in sources if source.article_id.startswith(RECORD)]
        if not names or customer_id is None:
            return ()
        rows = await fetch(self._pool, "audit_records", {"customer": customer_id, "records": names})
        return tuple(
            CitedText(f"{RECORD}{row['record']}", "the customer's record, as it is now", _fields(row["fields"]))
            for row in rows
        )

    async def label(
        self, ticket_id: UUID, revision: int, verdict: Verdict, *, auditor: str, kind: AuditorKind, reason: str = ""
    ) -> int | None:
        """Keep a verdict for good; its number, or None where it cannot be kept."""
        parameters = {
            "ticket": ticket_id,
            "revision": revision,
            "auditor": storable(auditor),
            "kind": kind.value,
            "verdict": verdict.value,
            "reason": storable(reason),
        }
        kept: int | None = await fetch_value(self._pool, "label_record", parameters)
        return kept

    async def labels(self, after: int = 0, limit: int = 1000) -> tuple[Label, ...]:
        """The verdicts after a number, in their order."""
        rows = await fetch(self._pool, "label_rows", {"after": after, "limit": limit})
        return tuple(
            Label(**{**row, "kind": AuditorKind(row["kind"]), "verdict": Verdict(row["verdict"])}) for row in rows
        )


def named(source: SourceUsed) -> str:
    """A source as it is written: article#section, or the record's name."""
    return f"{source.article_id}#{source.section_id}" if source.section_id else source.article_id


def _drawn(row: Mapping[str, Any]) -> Drawn:
    fields = ("ticket_id", "revision", "intent", "channel", "answered_at", "drawn_at")
    return Drawn(**{name: row[name] for name in fields})


def _fields(fields: Mapping[str, object]) -> str:
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in fields.items()
    )
