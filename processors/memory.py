"""What is remembered of a proved customer: their earlier tickets and what became of them, within a budget."""

from schemas.router import Admission, Author, EarlierTicket

BUDGET = 1_200  # characters of all lines together; a model reads them before every answer
LONGEST = 300  # characters of one line


def recalled(admission: Admission, budget: int = BUDGET) -> tuple[EarlierTicket, ...]:
    """The newest earlier tickets whose lines fit the budget, oldest first; of nobody in particular, none."""
    if admission.customer_id is None:
        return ()
    kept: list[EarlierTicket] = []
    for ticket in sorted(admission.earlier_tickets, key=lambda each: each.received_at, reverse=True):
        budget -= len(line_of(ticket))
        if budget < 0:
            break
        kept.append(ticket)
    return tuple(reversed(kept))


def line_of(ticket: EarlierTicket) -> str:
    """A ticket in a line: when, what about, what became of it. Subject and answer are words, not ours to obey."""
    about = " ".join(ticket.subject.split()) or (ticket.intent or "no subject").replace("_", " ")
    line = f"{ticket.received_at:%Y-%m-%d}: {about}; {_ended(ticket)}"
    answer = " ".join((ticket.answer or "").split())
    line += f": {answer}" if answer else ""
    return line if len(line) <= LONGEST else line[: LONGEST - 2].rstrip() + " …"


_ENDED = {
    "sent": "answered",
    "suggest": "left to a person",
    "handoff": "left to a person",
    "superseded": "followed by another message",
    "parked": "its reply may have been sent",
}


def _ended(ticket: EarlierTicket) -> str:
    if ticket.answered_by is not None:
        return "answered by a person" if ticket.answered_by is Author.PERSON else "answered automatically"
    return _ENDED.get(ticket.outcome or "", (ticket.outcome or "no outcome noted").replace("_", " "))
