"""Every helpdesk does a call once per key, says what it did, and tells the three kinds of failure apart."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from infra.clock import SystemClock
from infra.helpdesk.recorded import RecordedHelpdesk
from infra.helpdesk.scripted import Fault, ScriptedHelpdesk
from infra.helpdesk.webhook import WebhookHelpdesk
from infra.outcome_webhook import OutcomeWebhook
from infra.postgres.pool import open_pool
from infra.scripted.helpdesk_server import Faults, create_helpdesk
from infra.settings import as_role
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import HandOver, Helpdesk, Reply
from schemas.gate import Disposition
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Citation, Sentence

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI="
URL = "http://helpdesk.example/webhook"
TICKET = TicketReceived(
    ticket_id=ticket_id("api", "shop", "1"),
    conversation="api:shop::1",
    channel=Channel.API,
    provider="api",
    account="shop",
    provider_message_id="1",
    sender="ada@example.net",
    body="Hé?",
    body_full="Hé?",
    received_at=datetime(2026, 11, 20, tzinfo=UTC),
)


def reply(key: str = "k:1", text: str = "Thirty days, naïvely.") -> Reply:
    cited = Sentence(text=text, citation=Citation(article_id="returns", section_id="s", quote="Thirty days"))
    return Reply(key, TICKET, text, (cited,))


def hand_over(key: str = "k:1:hand-over") -> HandOver:
    return HandOver(key, Disposition.HANDOFF, TICKET, "Asks for money back.", None, '{"route": {}}')


@pytest.fixture
async def recorded(database: str) -> AsyncIterator[RecordedHelpdesk]:
    pool = await open_pool(as_role(database, "sluice_outcome"))
    yield RecordedHelpdesk(pool)
    await pool.close()


@pytest.fixture
def server() -> Any:
    return create_helpdesk(SECRET)


@pytest.fixture
async def webhook(server: Any) -> AsyncIterator[WebhookHelpdesk]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as client:
        yield WebhookHelpdesk(client, url=URL, secret=SECRET, clock=SystemClock(), find_url=URL)


@pytest.fixture(params=["scripted", "recorded", "webhook"])
def helpdesk(request: pytest.FixtureRequest) -> Helpdesk:
    return ScriptedHelpdesk() if request.param == "scripted" else request.getfixturevalue(request.param)


class TestHelpdesk:
    async def test_nothing_is_found_before_anything_was_done(self, helpdesk: Helpdesk) -> None:
        assert await helpdesk.find("k:1", Channel.API) is None

    async def test_a_reply_is_found_under_its_key(self, helpdesk: Helpdesk) -> None:
        reference = await helpdesk.reply(reply(), 5.0)
        assert await helpdesk.find("k:1", Channel.API) == reference
        assert await helpdesk.find("k:2", Channel.API) is None

    async def test_a_hand_over_is_found_under_its_key(self, helpdesk: Helpdesk) -> None:
        reference = await helpdesk.hand_over(hand_over(), 5.0)
        assert await helpdesk.find("k:1:hand-over", Channel.API) == reference
        assert await helpdesk.find("k:1", Channel.API) is None

    async def test_the_first_call_of_a_key_stays_its_reference(self, helpdesk: Helpdesk) -> None:
        first = await helpdesk.reply(reply(), 5.0)
        await helpdesk.reply(reply(), 5.0)
        assert await helpdesk.find("k:1", Channel.API) == first

    async def test_any_text_is_taken(self, helpdesk: Helpdesk) -> None:
        assert await helpdesk.reply(reply(text="\x00 \U0001f600 '; drop table item; --\n"), 5.0)


# -- what only some can be made to do


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, TryLater),
        (408, TryLater),
        (400, Undeliverable),
        (401, Undeliverable),
        (409, Undeliverable),
        (301, Undeliverable),
        (500, DependencyDown),
        (503, DependencyDown),
    ],
)
async def test_a_status_says_whether_to_wait_give_up_or_find_out(
    server: Any, webhook: WebhookHelpdesk, status: int, error: type[Exception]
) -> None:
    server.state.received.faults = Faults(status=status)
    with pytest.raises(error):
        await webhook.reply(reply(), 5.0)


async def test_an_answer_lost_on_its_way_is_found_afterwards(server: Any, webhook: WebhookHelpdesk) -> None:
    server.state.received.faults = Faults(status=500, done=True)
    with pytest.raises(DependencyDown) as down:
        await webhook.reply(reply(), 5.0)
    assert not down.value.untouched
    assert await webhook.find("k:1", Channel.API) == "helpdesk-1"


async def test_a_rate_limit_says_how_long_to_wait(server: Any, webhook: WebhookHelpdesk) -> None:
    server.state.received.faults = Faults(status=429, retry_after=7)
    with pytest.raises(TryLater) as later:
        await webhook.reply(reply(), 5.0)
    assert later.value.after == 7.0


async def test_a_slow_answer_ends_at_the_deadline(server: Any, webhook: WebhookHelpdesk) -> None:
    server.state.received.faults = Faults(delay=60.0)
    with pytest.raises(DependencyDown) as down:
        await webhook.reply(reply(), 0.05)
    assert not down.value.untouched


async def test_a_drip_of_bytes_ends_at_the_deadline() -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=drip()))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(DependencyDown):
            await WebhookHelpdesk(client, url=URL, secret=SECRET, clock=SystemClock()).reply(reply(), 0.1)


async def test_a_refused_connection_certainly_did_nothing() -> None:
    async with httpx.AsyncClient() as client:
        closed = WebhookHelpdesk(client, url="http://127.0.0.1:1/", secret=SECRET, clock=SystemClock())
        with pytest.raises(DependencyDown) as down:
            await closed.reply(reply(), 5.0)
    assert down.value.untouched


async def test_a_webhook_without_an_address_to_ask_cannot_be_asked() -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(LookupError):
            await WebhookHelpdesk(client, url=URL, secret=SECRET, clock=SystemClock()).find("k:1", Channel.API)


@pytest.mark.parametrize("answer", [b"", b"[1]", b'{"id": null}', b"\xff\xfe", b"x" * 1_000_000, b"[" * 60_000])
async def test_an_answer_without_a_reference_is_named_by_the_key(answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(202, content=answer))
    async with httpx.AsyncClient(transport=transport) as client:
        helpdesk = WebhookHelpdesk(client, url=URL, secret=SECRET, clock=SystemClock())
        assert await helpdesk.reply(reply(), 5.0) == "k:1"


async def test_a_scripted_fault_is_used_once() -> None:
    helpdesk = ScriptedHelpdesk()
    helpdesk.fail(Fault(TryLater("busy")))
    with pytest.raises(TryLater):
        await helpdesk.reply(reply(), 5.0)
    assert await helpdesk.reply(reply(), 5.0) == "scripted-1"


async def test_an_outcome_is_told_under_one_id_however_often(server: Any) -> None:
    settled = TicketSettled(
        ticket_id=TICKET.ticket_id, conversation="c", revision=1, outcome=Outcome.SENT, settled_at=TICKET.received_at
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as client:
        listener = OutcomeWebhook(client, url=URL, secret=SECRET, clock=SystemClock())
        await listener.tell(settled, 5.0)
        await listener.tell(settled, 5.0)
    first, second = server.state.received.deliveries
    assert first["id"] == second["id"]


# -- the signature


def test_the_signature_is_that_of_standard_webhooks() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    signature = Webhook(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "other"},
        {"webhook-timestamp": "1614265330"},
        {"webhook-timestamp": "99999999999"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "garbage"},
        {"webhook-signature": "v1,\u0041==="},
        {"webhook-signature": ""},
    ],
)
async def test_the_server_takes_only_what_is_signed(server: Any, change: dict[str, str]) -> None:
    body, now = '{"data": {}}', SystemClock().now()
    headers = {
        "webhook-id": "k:1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("k:1", now, body),
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as client:
        assert (await client.post(URL, content=body, headers=headers)).status_code == 200
        assert (await client.post(URL, content=body, headers=headers | change)).status_code == 401
        assert (await client.post(URL, content='{"data":{}}', headers=headers)).status_code == 401


@pytest.mark.parametrize("secrets", [f"{SECRET},{OTHER}", f"{OTHER}, {SECRET}"])
async def test_while_a_secret_changes_the_receiver_may_hold_either(server: Any, secrets: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server)) as client:
        both = WebhookHelpdesk(client, url=URL, secret=secrets, clock=SystemClock(), find_url=URL)
        assert await both.reply(reply(), 5.0) == await both.find("k:1", Channel.API)
        with pytest.raises(Undeliverable):
            await WebhookHelpdesk(client, url=URL, secret=OTHER, clock=SystemClock()).reply(reply("k:2"), 5.0)


async def test_an_id_with_another_body_is_a_conflict(webhook: WebhookHelpdesk) -> None:
    await webhook.reply(reply(), 5.0)
    with pytest.raises(Undeliverable):
        await webhook.reply(reply(text="Something else."), 5.0)


async def test_the_recorded_helpdesk_shows_a_double_send(recorded: RecordedHelpdesk, database: str) -> None:
    await recorded.reply(reply(), 5.0)
    await recorded.reply(reply(), 5.0)
    pool = await open_pool(database)
    async with pool.connection() as connection:
        rows = await (await connection.execute("select key, act from helpdesk_delivery")).fetchall()
    await pool.close()
    assert [tuple(row.values()) for row in rows] == [("k:1", "reply")] * 2
