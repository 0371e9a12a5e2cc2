"""`sluice policy diff` on what stands on the topics."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.kafka.producer import Producer
from infra.wiring import POLICY
from processors.gate import decide, leave
from processors.policy import Policy
from processors.ports import SwitchView
from schemas.control import SwitchState
from schemas.gate import SentenceCheck
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.resolution import Citation, Draft, ReplyDrafted, Sentence
from schemas.retrieval import Evidence, Passage
from schemas.router import Admission, Band, Route, Tier
from schemas.topics import Topic
from sluice.main import app

IN_FORCE = Policy.parse(POLICY.read_text(encoding="utf-8"))
QUOTE = "You have thirty days."
PASSAGE = Passage(
    article_id="returns", section_id="window", version=1, title="Returns", heading="Window", text=QUOTE, score=0.7
)
CITED = Sentence(text=QUOTE, citation=Citation(article_id="returns", section_id="window", quote=QUOTE))


def drafted(intent: str, now: datetime) -> ReplyDrafted:
    band, line = IN_FORCE.ceiling(intent, Channel.API)
    limits = {} if band is Band.AUTO else {"rule": line, "reasons": (f"the policy allows no more: {line}",)}
    return ReplyDrafted(
        ticket=TicketReceived(
            ticket_id=ticket_id("api", "shop", intent),
            conversation=f"shop:{intent}",
            channel=Channel.API,
            provider="api",
            account="shop",
            provider_message_id=intent,
            body="How does it work, please?",
            body_full="How does it work, please?",
            language="en",
            received_at=now,
        ),
        admission=Admission(revision=1, owner="bot"),
        route=Route(intent=intent, band=band, tier=Tier.COMMODITY, confidence=0.9, model="local/test", **limits),
        evidence=Evidence(passages=(PASSAGE,), best_score=0.7),
        draft=Draft(sentences=(CITED,), model="local/extractive", prompt_hash="0" * 64),
    )


@pytest.fixture
async def decided(kafka_topics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suggested refund request, told twice, and an answer that went out: under the policy in force."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_topics)
    now = datetime.now(UTC)
    producer = Producer(kafka_topics, client_id="test", deadline=10.0)
    for intent in ("refund_request", "refund_request", "return_policy"):
        event = drafted(intent, now)
        decision = decide(
            event,
            [SentenceCheck(text=QUOTE, supported=True, score=0.97)],
            switch=SwitchView(SwitchState.AUTO, 1, None, "armed"),
            policy=IN_FORCE.waived,
            threshold=0.3,
            floor=0.92,
            verifier_name="scripted",
            config_hash="c0ffee",
            now=now,
        )
        left = leave(event, decision.model_copy(update={"policy_hash": IN_FORCE.hash}), IN_FORCE)
        topic = Topic.ESCALATION if intent == "refund_request" else Topic.AUTO_SEND
        await producer.publish(topic, event.ticket.conversation, left, ())
    await producer.stop()


def diff(folder: Path, before: str, after: str, *options: str) -> Result:
    new = folder / "new.toml"
    text = POLICY.read_text(encoding="utf-8")
    assert before in text
    new.write_text(text.replace(before, after))
    return CliRunner().invoke(app, ["policy", "diff", str(new), *options], env={"COLUMNS": "300"})


@pytest.mark.usefixtures("decided")
def test_tickets_that_would_go_out_are_listed_and_may_fail_the_command(tmp_path: Path) -> None:
    opened = ('refund_request = "suggest"', 'refund_request = "auto"')
    found = json.loads(diff(tmp_path, *opened, "--over", "today", "--json").stdout)
    assert (found["tickets"], found["sends_more"], found["decided_by_another_policy"]) == (2, 1, 0)
    assert found["transitions"] == [{"from": "suggest", "to": "auto", "tickets": 1}]
    failed = diff(tmp_path, *opened, "--over", "today", "--fail-on-more-auto")
    assert failed.exit_code == 1
    assert "suggest → auto, at most" in failed.stdout


@pytest.mark.usefixtures("decided")
def test_a_stricter_policy_takes_tickets_back_and_fails_nothing(tmp_path: Path) -> None:
    closed = ('return_policy = "auto"', 'return_policy = "escalate"')
    found = diff(tmp_path, *closed, "--over", "today", "--fail-on-more-auto", "--json")
    assert found.exit_code == 0
    assert [(change["intent"], change["new"]["rule"]) for change in json.loads(found.stdout)["changes"]] == [
        ("return_policy", "policy-escalates")
    ]


@pytest.mark.usefixtures("decided")
def test_where_nothing_was_decided_nothing_is_called_unchanged(tmp_path: Path) -> None:
    found = diff(tmp_path, "amount_limit = 200", "amount_limit = 300", "--over", "2020-01-01..2020-01-02")
    assert found.exit_code == 1
    assert "nothing was compared" in found.output
