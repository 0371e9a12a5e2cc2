"""What the live guard reads and keeps, in Postgres."""

from infra.postgres.pool import Pool, fetch, fetch_value
from processors.guard import Feedback, Watch
from processors.ports import AuditorKind, CountedLabels, GuardState, Verdict


class PostgresGuardMemory:
    """The guard's memory, by the login role guard; the auditor may look. Raises DependencyDown as the port says."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self) -> GuardState:
        """What it knows."""
        rows = await fetch(self._pool, "guard_load")
        if not rows:
            return GuardState(0, Watch())
        return GuardState(rows[0]["version"], Watch.model_validate_json(rows[0]["state"]))

    async def save(self, version: int, watch: Watch) -> int | None:
        """Put it in the place of that version; the new version, or None where another was faster."""
        saved: int | None = await fetch_value(
            self._pool, "guard_save", {"version": version, "state": watch.model_dump_json()}
        )
        return saved

    async def labels(self, after: int, *, machines: bool, limit: int = 500) -> CountedLabels:
        """The verdicts after a number, and which of them count."""
        kinds = list(AuditorKind) if machines else [AuditorKind.PERSON]
        parameters = {"after": after, "limit": limit, "kinds": [kind.value for kind in kinds]}
        rows = await fetch(self._pool, "guard_labels", parameters)
        found = tuple(
            Feedback(intent=row["intent"], bad=row["verdict"] == Verdict.BAD.value, answered_at=row["answered_at"])
            for row in rows
            if row["counts"]
        )
        return CountedLabels(found, rows[-1]["label_id"] if rows else after)
