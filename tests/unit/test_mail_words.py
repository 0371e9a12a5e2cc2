"""What a customer writes by mail is read wherever it stands: below a greeting, a quote, in HTML or in a file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from processors.ingress.email import MAX_HEADER, Mailbox, receive_email
from processors.ingress.quotes import reply_of
from processors.policy import Policy, hard_rule
from schemas.ingress import Marks, Proof, TicketReceived
from schemas.router import Author, Message

POLICY = Policy.parse((Path(__file__).parents[2] / "infra" / "policy.toml").read_text())
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
MAILBOX = Mailbox(
    account="support@shop.example",
    domains=frozenset({"shop.example"}),
    authserv_ids=frozenset({"mx.shop.example"}),
)
ASKED = "What does express cost?"
MIXED = (
    "MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b\n\n--b\nContent-Type: text/plain\n\n{asked}\n--b\n"
)


def receive(rest: str, *, sender: str = "ada@example.net", subject: str = "express") -> TicketReceived:
    """The ticket of a mail: `rest` is what follows its first headers."""
    head = (
        f"From: {sender}\nTo: support@shop.example\nMessage-ID: <m@example.net>\nSubject: {subject}\n"
        "Authentication-Results: mx.shop.example; dmarc=pass header.from=example.net\n"
    )
    return receive_email((head + rest).replace("\n", "\r\n").encode(), mailbox=MAILBOX, received_at=NOW)


def parts(kind: str, second: str) -> str:
    return MIXED.format(kind=kind, asked=ASKED) + second + "\n--b--\n"


@pytest.mark.parametrize(
    ("rest", "rule"),
    [
        (f"\n{ASKED}\n\nBest regards,\nJohn\nmy lawyer will sue you\n", "legal_threat"),
        (f"\n{ASKED}\n\nThanks,\nI want to close my account.\n", "account_closure"),
        (f"\n{ASKED}\n\n-- \nJohn\nPlease delete my account.\n", "account_closure"),
        (f"\n{ASKED}\n\nRegards,\nI will kill myself tonight\n", "self_harm"),
        (f"Content-Type: text/html\n\n<p>{ASKED}</p><blockquote>I will sue you.</blockquote>\n", "legal_threat"),
        (parts("alternative", f"Content-Type: text/html\n\n<p>{ASKED} I will sue you.</p>"), "legal_threat"),
        (parts("mixed", 'Content-Type: text/plain; name="m.txt"\n\nI will sue you.'), "legal_threat"),
        (
            f"In-Reply-To: <0@y>\n\nHi, {ASKED}\n\nOn Mon, 1 Jan 2026 at 10:00, Shop <s@shop.example> wrote:\n"
            "> Thank you for your message\n> bye\n\nAlso please close my account.\n",
            "account_closure",
        ),
    ],
)
def test_a_hard_word_counts_wherever_it_stands(rest: str, rule: str) -> None:
    hit = hard_rule(receive(rest), (), POLICY)
    assert hit is not None
    assert hit.name == rule


OURS = "For account closure write to the privacy team.\nThe legal team reads it."


@pytest.mark.parametrize(
    "rest",
    [
        f"\n{ASKED}\n\nBest regards,\nJohn Smith\nAnalytical Ltd\n",
        f"In-Reply-To: <0@y>\n\n{ASKED}\n\nOn Mon, Shop wrote:\n> For account closure write to the privacy\n> team.\n"
        f"> The legal team reads it.\n>\n> {POLICY.automatic.disclosure}\n",
        f"\n{ASKED}\n\n-- \nJohn\nThis e-mail is confidential. Unlawful use is prohibited, no liability is accepted.\n",
        parts("alternative", "Content-Type: text/html\n\n<p>What does <b>express</b>\ncost?</p>"),
    ],
)  # fmt: skip
def test_our_own_words_and_company_notices_are_not_the_customers(rest: str) -> None:
    ours = Message(author=Author.BOT, text=OURS, at=NOW)
    assert hard_rule(receive(rest), (ours,), POLICY) is None


def test_what_stands_below_a_quote_belongs_to_the_message() -> None:
    full = "Hi, what is it?\nOn Mon, 1 Jan 2026, Shop wrote:\n> Thank you\n\nAnd send it to me."
    assert reply_of(full, first=False) == full
    wrapped = "Thanks.\n\nOn Mon, 1 Jan 2026 at 10:00, Shop\n<s@shop.example> wrote:\n> Try this."
    assert reply_of(wrapped, first=False) == "Thanks."


@pytest.mark.parametrize("blank", [" ", "\n "])
def test_a_sender_longer_than_is_read_proves_nobody(blank: str) -> None:
    ticket = receive("\nhi\n", sender=f"ada@example.net{blank * MAX_HEADER}, eve@evil.example")
    assert (ticket.identity.proof, ticket.sender) == (Proof.NONE, None)


@pytest.mark.parametrize(
    ("sender", "subject", "marks"),
    [
        ("no-reply-123@example.net", "x", Marks(auto_reply=True)),
        ("newsletter@example.net", "x", Marks(auto_reply=True)),
        ("norepley@example.net", "x", Marks()),
        ("ada@example.net", "Absence du bureau", Marks(auto_reply=True)),
        ("ada@example.net", "Re: Abwesenheitsnotiz", Marks(auto_reply=True)),
        ("ada@example.net", "Re: Out of office: express", Marks(auto_reply=True)),
        ("ada@example.net", "How long are you out of office?", Marks()),
        ("ada@mail.shop.example", "x", Marks(loop=True)),
        ("ada@myshop.example", "x", Marks()),
    ],
)
def test_machines_and_our_own_domains_are_marked(sender: str, subject: str, marks: Marks) -> None:
    assert receive("\nhi\n", sender=sender, subject=subject).marks == marks
