"""Claims of a helpdesk outside in Postgres: every method is one call of one SQL function."""

from uuid import UUID, uuid5

from infra.postgres.pool import Pool, fetch, fetch_value, storable
from processors.ports import OutsideClaim, OutsideSettled
from schemas.gate import ReplyApproved
from schemas.ingress import TICKET_NAMESPACE


class PostgresOutsideClaims:
    """The claims, by the login role outcome. Every method raises DependencyDown when Postgres does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, ticket_id: UUID, account: str, lease: float) -> OutsideClaim:
        """Ask for the right to deliver the reply to a ticket; `lease` is in seconds."""
        parameters = {**_named(ticket_id, account), "lease": lease, "holder": _holder(account)}
        (row,) = await fetch(self._pool, "claim_outside", parameters)
        approved = ReplyApproved.model_validate_json(row["event"]) if row["event"] else None
        return OutsideClaim(row["status"], row["detail"] or "", approved, row["lease_until"])

    async def settle(self, ticket_id: UUID, account: str, *, delivery: str, text: str | None) -> OutsideSettled:
        """Note that it was delivered; what was kept the first time.

        Raises:
            LookupError: this account has no claim on this ticket.
        """
        told = {"delivery": storable(delivery), "text": None if text is None else storable(text)}
        named = _named(ticket_id, account)
        if await fetch_value(self._pool, "settle_outside", {**named, **told}) is None:
            raise LookupError(f"no claim on ticket {ticket_id}")
        (row,) = await fetch(self._pool, "kept_outside", named)
        approved = ReplyApproved.model_validate_json(row["event"])
        return OutsideSettled(approved, row["delivery"], row["text"], row["at"], row["told"], row["traceparent"])

    async def release(self, ticket_id: UUID, account: str) -> None:
        """Give a claim back under which nothing was delivered.

        Raises:
            LookupError: this account has no claim on this ticket.
        """
        parameters = {**_named(ticket_id, account), "holder": _holder(account)}
        if await fetch_value(self._pool, "release_outside", parameters) != "ended":
            raise LookupError(f"no claim on ticket {ticket_id}")


def _named(ticket_id: UUID, account: str) -> dict[str, object]:
    return {"ticket": ticket_id, "account": storable(account)}


def _holder(account: str) -> UUID:
    """Every replica of the edge speaks for the same helpdesk."""
    return uuid5(TICKET_NAMESPACE, f"outside:{account}")
