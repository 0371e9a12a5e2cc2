"""Send one reply under a claim, at most once, whoever writes it: the bot or a person.

An ambiguous claim (a sender died between claim and mark) is settled by asking the helpdesk under the idempotency key.
It knows the reply: sent. It cannot be asked: parked, never sent again. It says that it did nothing: the claim is
released and asked for anew, which only one sender is granted, and the same key goes out again. The first sender cannot
still be sending: it starts a call only when the lease outlives the call's deadline. A claim of a helpdesk outside is
never ambiguous: past its lease it is parked, because ours cannot tell what another helpdesk sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Claim, ClaimRequest, ClaimStatus, Clock, Conversations, Helpdesk, Reply


class Sent(StrEnum):
    """How a delivery ended."""

    NOW = "now"  # by this call
    BEFORE = "before"  # by an earlier one, or by somebody else
    PARKED = "parked"  # it may have been sent, and nobody can be asked
    SUPERSEDED = "superseded"  # a newer revision was admitted
    REFUSED = "refused"  # certainly not sent


@dataclass(frozen=True)
class Delivery:
    """The end of a delivery."""

    sent: Sent
    why: str = ""  # of a refusal, in a word: stopped, taken_over, unknown, undeliverable, ...
    detail: str = ""
    reference: str | None = None  # the helpdesk's, where it was sent


@dataclass(frozen=True)
class Desk:
    """What a delivery works with."""

    conversations: Conversations
    helpdesk: Helpdesk
    clock: Clock
    lease: float  # seconds; longer than the deadline, or nothing is ever sent
    deadline: float  # seconds of one call of the helpdesk


@dataclass(frozen=True)
class Obstacle:
    """Why a granted reply stays here all the same."""

    why: str  # in a word
    detail: str


async def _none() -> None:
    return None


async def deliver_once(
    reply: Reply,
    request: ClaimRequest,
    desk: Desk,
    *,
    obstacle: Callable[[], Awaitable[Obstacle | None]] = _none,
    earlier_text: str | None = None,
) -> Delivery:
    """Send the reply if this caller may, or say why not.

    `obstacle` is asked for once the claim is granted. `earlier_text` is what went out under an earlier claim, where the
    helpdesk turns out to know the key; by default the reply's own text.

    Raises:
        TryLater: another sender holds the claim, or the helpdesk asks to wait; nothing was sent by this call.
        DependencyDown: Postgres or the helpdesk does not answer. The same call again finds out what happened.
    """
    began = desk.clock.monotonic()
    claim = await desk.conversations.claim(request)
    if claim.status is ClaimStatus.AMBIGUOUS:
        try:
            reference = await desk.helpdesk.find(reply.key, reply.ticket.channel)
        except LookupError:
            return await _park(reply.key, desk)
        if reference is not None:
            text = reply.text if earlier_text is None else earlier_text
            await desk.conversations.mark_sent(reply.key, delivery=reference, text=text)
            return Delivery(Sent.BEFORE, reference=reference)
        await _give_back(reply.key, desk)
        began = desk.clock.monotonic()
        claim = await desk.conversations.claim(request)
    return await _send(reply, began, desk, obstacle) if claim.status is ClaimStatus.GRANTED else _told(claim, desk)


def _told(claim: Claim, desk: Desk) -> Delivery:
    """What a claim that was not granted says."""
    match claim.status:
        case ClaimStatus.SENT:
            return Delivery(Sent.BEFORE, reference=claim.delivery)
        case ClaimStatus.PARKED:
            return Delivery(Sent.PARKED)
        case ClaimStatus.SUPERSEDED:
            return Delivery(Sent.SUPERSEDED, detail=claim.detail)
        case ClaimStatus.LEASED | ClaimStatus.AMBIGUOUS:
            raise TryLater("another worker holds the claim", after=desk.lease)
        case _:
            return Delivery(Sent.REFUSED, claim.status.value, claim.detail)


async def _send(reply: Reply, began: float, desk: Desk, obstacle: Callable[[], Awaitable[Obstacle | None]]) -> Delivery:
    """Send under the claim just granted. Whoever is certain that nothing went out gives the claim back."""
    if (found := await obstacle()) is not None:
        await _give_back(reply.key, desk)
        return Delivery(Sent.REFUSED, found.why, found.detail)
    if desk.clock.monotonic() - began + desk.deadline >= desk.lease:
        await _give_back(reply.key, desk)
        raise TryLater("too little of the lease is left for the call")
    try:
        reference = await desk.helpdesk.reply(reply, desk.deadline)
    except Undeliverable as refused:
        await _give_back(reply.key, desk)
        return Delivery(Sent.REFUSED, "undeliverable", str(refused))
    except (TryLater, DependencyDown) as failure:
        if not isinstance(failure, DependencyDown) or failure.untouched:
            await _give_back(reply.key, desk)
        raise
    await desk.conversations.mark_sent(reply.key, delivery=reference, text=reply.text)
    return Delivery(Sent.NOW, reference=reference)


async def _give_back(key: str, desk: Desk) -> None:
    """Release a claim under which nothing was sent.

    Raises:
        TryLater: another worker has it, or has ended it meanwhile: the next try sees how.
    """
    try:
        await desk.conversations.release_claim(key)
    except LookupError:
        raise TryLater("another worker ended the claim") from None


async def _park(key: str, desk: Desk) -> Delivery:
    try:
        await desk.conversations.park(key)
    except LookupError:
        raise TryLater("another worker ended the claim") from None
    return Delivery(Sent.PARKED)
