"""Replies by WhatsApp against a stand-in of Meta's API: what each answer means for the reply, and for the next try."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from infra.helpdesk.whatsapp import MAX_TEXT, WhatsApp
from infra.scripted.whatsapp_server import Account, Faults, create_whatsapp
from processors.disclosure import Disclosure
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Reply
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.resolution import Sentence

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SAID = Disclosure("An AI system wrote this answer.", "This note was sent automatically.")
ACCOUNT, ADA = Account(token="token", secret="app-secret"), "15550100017"
API = "http://meta.example/v23.0"
TICKET = TicketReceived(
    ticket_id=ticket_id("whatsapp-cloud", ACCOUNT.number, "wamid.1"),
    conversation="whatsapp:1",
    channel=Channel.WHATSAPP,
    provider="whatsapp-cloud",
    account=ACCOUNT.number,
    provider_message_id="wamid.1",
    sender=ADA,
    body="Hé?",
    body_full="Hé?",
    received_at=NOW,
)


@dataclass
class Hands:
    """A clock that a test moves."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def server(clock: Hands) -> Any:
    """Meta, to which a customer has just written."""
    app = create_whatsapp(ACCOUNT, clock)
    app.state.memory.heard[ADA] = NOW
    return app


@pytest.fixture
async def client(server: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as client:
        yield client


def adapter(client: httpx.AsyncClient, clock: Hands, token: str = "token", number: str = ACCOUNT.number) -> WhatsApp:
    return WhatsApp(client, url=f"{API}/", token=token, numbers=[number], clock=clock, disclosure=SAID)


@pytest.fixture
def whatsapp(client: httpx.AsyncClient, clock: Hands) -> WhatsApp:
    return adapter(client, clock)


def reply(text: str = "Thirty days, naïvely.", **changes: object) -> Reply:
    return Reply("k:1", TICKET.model_copy(update=changes), text, (), actor="mia")


async def test_a_reply_goes_out_as_one_text_and_is_known_by_metas_id(server: Any, whatsapp: WhatsApp) -> None:
    reference = await whatsapp.reply(reply(), 5.0)
    (sent,) = server.state.memory.sent
    assert reference == sent["id"]
    assert reference.startswith("wamid.")
    assert (sent["to"], sent["text"]) == (ADA, {"preview_url": False, "body": "Thirty days, naïvely."})
    assert sent["biz_opaque_callback_data"] == "k:1"


@pytest.mark.parametrize(
    ("actor", "sentences", "below"),
    [("bot", (Sentence(text="Thirty days."),), SAID.answer), ("bot", (), SAID.note), ("mia", (), None)],
    ids=["an answer", "an acknowledgement", "a person's reply"],
)
async def test_an_automatic_message_says_so_and_a_persons_does_not(
    server: Any, whatsapp: WhatsApp, actor: str, sentences: tuple[Sentence, ...], below: str | None
) -> None:
    await whatsapp.reply(Reply("k:1", TICKET, "Thirty days.\n", sentences, actor=actor), 5.0)
    (sent,) = server.state.memory.sent
    assert sent["text"]["body"].split("\n\n") == ["Thirty days.", *filter(None, [below])]


async def test_what_it_says_of_itself_counts_for_its_length(server: Any, whatsapp: WhatsApp) -> None:
    longest = Reply("k:1", TICKET, "x" * (MAX_TEXT - len(SAID.note) - 1), ())
    with pytest.raises(Undeliverable, match="4096"):
        await whatsapp.reply(longest, 5.0)
    assert server.state.memory.sent == []


async def test_meta_cannot_be_asked_what_was_sent(whatsapp: WhatsApp) -> None:
    with pytest.raises(LookupError):
        await whatsapp.find("k:1", Channel.WHATSAPP)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (reply(account="106540352242923"), "WHATSAPP_PHONE_NUMBER_ID"),
        (reply(sender=None), "no number to write to"),
        (reply(" "), "4096"),
        (reply("x" * (MAX_TEXT + 1)), "4096"),
        (reply("\U0001f600" * (MAX_TEXT // 2 + 1)), "4096"),
        (reply(received_at=NOW - timedelta(hours=23, minutes=55)), "window is closed"),
    ],
    ids=["another number", "no sender", "empty", "too long", "too many emoji", "too late"],
)
async def test_what_meta_would_refuse_is_refused_without_a_call(
    server: Any, whatsapp: WhatsApp, given: Reply, says: str
) -> None:
    with pytest.raises(Undeliverable, match=says):
        await whatsapp.reply(given, 5.0)
    assert server.state.memory.sent == []


async def test_the_longest_text_is_taken(whatsapp: WhatsApp) -> None:
    assert await whatsapp.reply(reply("x" * MAX_TEXT), 5.0)


async def test_where_metas_clock_says_that_the_window_is_closed_it_is(server: Any, whatsapp: WhatsApp) -> None:
    server.state.memory.heard[ADA] = NOW - timedelta(hours=24)
    with pytest.raises(Undeliverable, match="131047"):
        await whatsapp.reply(reply(), 5.0)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (130429, 429, TryLater),
        (130429, 400, TryLater),
        (80007, 400, TryLater),
        (131048, 400, TryLater),
        (999, 429, TryLater),
        (131026, 400, Undeliverable),
        (131047, 400, Undeliverable),
        (100, 400, Undeliverable),
        (131009, 400, Undeliverable),
        (999, 301, Undeliverable),
        (2, 503, DependencyDown),
        (131000, 500, DependencyDown),
        (999, 502, DependencyDown),
    ],
)
async def test_metas_code_says_whether_to_wait_give_up_or_find_out(
    server: Any, whatsapp: WhatsApp, code: int, status: int, error: type[Exception]
) -> None:
    server.state.memory.faults = Faults(code=code, status=status)
    with pytest.raises(error) as raised:
        await whatsapp.reply(reply(), 5.0)
    assert not getattr(raised.value, "untouched", False)
    assert server.state.memory.sent == []


@pytest.mark.parametrize(
    ("code", "status", "names"),
    [
        (190, 401, "WHATSAPP_ACCESS_TOKEN"),
        (0, 401, "WHATSAPP_ACCESS_TOKEN"),
        (200, 403, "WHATSAPP_ACCESS_TOKEN"),
        (7777, 403, "WHATSAPP_ACCESS_TOKEN"),
        (133010, 400, "WHATSAPP_PHONE_NUMBER_ID"),
        (131042, 400, "payment"),
    ],
)
async def test_where_our_account_may_not_send_nothing_was_sent_and_all_wait(
    server: Any, whatsapp: WhatsApp, code: int, status: int, names: str
) -> None:
    server.state.memory.faults = Faults(code=code, status=status)
    with pytest.raises(DependencyDown, match=names) as down:
        await whatsapp.reply(reply(), 5.0)
    assert down.value.untouched


async def test_a_wrong_token_or_number_is_told_by_its_setting(client: httpx.AsyncClient, clock: Hands) -> None:
    with pytest.raises(DependencyDown, match="WHATSAPP_ACCESS_TOKEN"):
        await adapter(client, clock, token="old").reply(reply(), 5.0)
    with pytest.raises(DependencyDown, match="WHATSAPP_PHONE_NUMBER_ID"):
        await adapter(client, clock, number="1").reply(reply(account="1"), 5.0)


@pytest.mark.parametrize(
    ("code", "retry_after", "after"), [(130429, 7, 7.0), (131056, None, 6.0), (130429, None, None)]
)
async def test_a_rate_limit_says_how_long_to_wait(
    server: Any, whatsapp: WhatsApp, code: int, retry_after: int | None, after: float | None
) -> None:
    server.state.memory.faults = Faults(code=code, status=400, retry_after=retry_after)
    with pytest.raises(TryLater) as later:
        await whatsapp.reply(reply(), 5.0)
    assert later.value.after == after


async def test_the_stand_in_keeps_the_pace_that_meta_keeps(server: Any, whatsapp: WhatsApp, clock: Hands) -> None:
    for _ in range(ACCOUNT.pair_limit):
        await whatsapp.reply(reply(), 5.0)
    with pytest.raises(TryLater, match="131056"):
        await whatsapp.reply(reply(), 5.0)
    clock.at += timedelta(minutes=1)
    await whatsapp.reply(reply(), 5.0)
    assert len(server.state.memory.sent) == ACCOUNT.pair_limit + 1


async def test_an_answer_lost_on_its_way_leaves_it_unknown(server: Any, whatsapp: WhatsApp) -> None:
    server.state.memory.faults = Faults(code=1, status=500, done=True)
    with pytest.raises(DependencyDown) as down:
        await whatsapp.reply(reply(), 5.0)
    assert not down.value.untouched
    assert len(server.state.memory.sent) == 1


async def test_a_slow_answer_ends_at_the_deadline(server: Any, whatsapp: WhatsApp) -> None:
    server.state.memory.faults = Faults(delay=60.0)
    with pytest.raises(DependencyDown) as down:
        await whatsapp.reply(reply(), 0.05)
    assert not down.value.untouched


async def test_a_refused_connection_certainly_sent_nothing(clock: Hands) -> None:
    async with httpx.AsyncClient() as client:
        closed = WhatsApp(
            client, url="http://127.0.0.1:1", token="t", numbers=[ACCOUNT.number], clock=clock, disclosure=SAID
        )
        with pytest.raises(DependencyDown) as down:
            await closed.reply(reply(), 5.0)
    assert down.value.untouched


@pytest.mark.parametrize("answer", [b"", b"[1]", b'{"messages": []}', b'{"messages": [{"id": null}]}', b"\xff\xfe"])
async def test_an_answer_without_an_id_is_named_by_the_key(clock: Hands, answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=answer))
    async with httpx.AsyncClient(transport=transport) as client:
        assert await adapter(client, clock).reply(reply(), 5.0) == "k:1"


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"error": "x"}', b'{"error": {"code": "190"}}', b"[]"])
async def test_an_error_of_another_form_is_judged_by_its_status(clock: Hands, answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(502, content=answer))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(DependencyDown):
            await adapter(client, clock).reply(reply(), 5.0)
