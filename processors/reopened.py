"""Tell when an automatic answer did not end the matter: its customer writes again, or the helpdesk reopens it."""

import re
from datetime import timedelta

from processors.folding import fold
from processors.ports import Clock, Reopened, Reopenings
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.outcome import Outcome, TicketSettled
from schemas.router import Band

CUSTOMER = "customer"  # the actor of who came back
CAME_BACK = "the customer wrote again"
THANKS_WORDS = 15  # more than so many hold something else too
_BEFORE = re.compile(
    r"ok|okay|great|perfect|super|wonderful|brilliant|awesome|yes|hi|hello|hey|oh|ah|many|much|vielen|muchas"
)
_THANKS = re.compile(r"thanks|thank|thx|thankyou|ty|cheers|danke|dank|merci|gracias|obrigad[oa]|grazie|bedankt")
_DISCONTENT = re.compile(
    r"\b(?:still|already|again|wrong|useless|unhelpful|nonsense|misunderst\w+|no help"
    r"|not (?:what|my|the|it|true|right|help\w*)"
    r"|(?:did|does|do|is|was|has|have)(?: not|n't) (?:help|work|answer|arrive|come|true|right|changed?|what)\w*"
    r"|never (?:came|arrived|got|received|asked)|immer noch|falsch|nicht geholfen|toujours|todavia|sigue)\b"
    r"|^\W*(?:no|nope|nein)\b"
)
_YET = re.compile(
    r"\?|\b(?:but|still|not|no|never|however|yet|again|wrong|[a-z]+n't|cannot|aber|nicht|kein[a-z]*|mais|pas|pero|mas"
    r"|ma|non|niet|maar)\b"
)


async def came_back(
    event: ReplyApproved | TicketEscalated, *, reopenings: Reopenings, clock: Clock, within: timedelta
) -> TicketSettled | None:
    """The act on an earlier revision that this later one speaks against; None where it speaks against none.

    A machine's message and bare thanks do not, nor does a question about another topic, unless it sounds discontent.
    Told once, whatever else the customer writes.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    ticket, admission = event.ticket, event.admission
    if not within or admission.revision < 2 or ticket.marks.automatic or only_thanks(ticket.body):
        return None
    further = event.route.band is not Band.ESCALATE and not discontent(ticket.body)
    topic = event.route.intent if further else None
    found = await reopenings.came_back(ticket.conversation, admission.revision, within=within, topic=topic)
    if found is None:
        return None
    return reopened(found, actor=CUSTOMER, reason=CAME_BACK, account=ticket.account, clock=clock)


def discontent(text: str) -> bool:
    """Whether a message says that something is still not as it should be."""
    return bool(_DISCONTENT.search(fold(text)))


def only_thanks(text: str) -> bool:
    """Whether a message gives thanks and says nothing that asks for more."""
    folded = fold(text)
    words = re.findall(r"[^\W\d_]+", folded)
    first = next((word for word in words if not _BEFORE.fullmatch(word)), "")
    return len(words) <= THANKS_WORDS and bool(_THANKS.fullmatch(first)) and not _YET.search(folded)


def reopened(found: Reopened, *, actor: str, reason: str | None, account: str, clock: Clock) -> TicketSettled:
    """The act that says so: the live guard counts it against the answer."""
    return TicketSettled(
        ticket_id=found.ticket_id,
        conversation=found.conversation,
        revision=found.revision,
        channel=found.channel,
        account=account,
        intent=found.intent,
        outcome=Outcome.REOPENED,
        actor=actor,
        reason=reason,
        received_at=found.received_at,
        settled_at=clock.now(),
    )
