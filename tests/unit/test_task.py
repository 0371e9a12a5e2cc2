"""A suite down the path in this process: earlier turns are seen, odd rows are rows, and a stage is the last one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evals.dataset import LabelledTicket, Suite
from evals.prediction import Prediction
from evals.task import Answering, Entrance, Pipeline, Until, in_order, run
from infra.embeddings.scripted import HashingEmbedder
from infra.knowledge import Article, ArticleSection
from infra.models.scripted import ScriptedModel
from infra.scripted.classifier import ScriptedClassifier
from infra.scripted.customers import ScriptedCustomers
from infra.scripted.knowledge import ScriptedKnowledge
from infra.scripted.verifier import ScriptedVerifier
from infra.wiring import POLICY, in_memory
from processors.errors import DependencyDown
from processors.ingress.email import Mailbox
from processors.policy import Policy
from processors.ports import Prompt
from processors.resolution import DraftReply, DraftRequest, DraftSentence, load_prompt
from schemas.router import Tier

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SUITE = Suite("s", Path(), (), (), {})
TEXT = "Return an item within 45 days after delivery."
ARTICLE = Article("returns", "Returns", (ArticleSection("how", "Return policy", TEXT),))


class Stopped:
    """A clock that stands still."""

    def now(self) -> datetime:
        """A moment."""
        return NOW

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0


def quoting(prompt: Prompt) -> DraftReply:
    DraftRequest.model_validate_json(prompt.user)
    told = DraftSentence(text=TEXT, article_id="returns", section_id="how", quote=TEXT)
    return DraftReply(sentences=(told,))


async def predicted(
    *rows: dict[str, Any], until: Until = "gate", model: ScriptedModel | None = None
) -> list[Prediction]:
    memory = in_memory(Stopped(), ())
    policy = Policy.parse(POLICY.read_text(encoding="utf-8"))
    answering = Answering(
        knowledge=await ScriptedKnowledge.of(HashingEmbedder(), [ARTICLE], now=NOW),
        customers=ScriptedCustomers((), {}),
        models={Tier.COMMODITY: [model or ScriptedModel(quoting)]},
        prompt=load_prompt("Answer."),
        verifier=ScriptedVerifier(),
        helpdesk=memory.helpdesk,
        retrieval_threshold=0.05,
        retrieval_limit=3,
        gate_floor=0.92,
        model_deadline=1.0,
        config_hash="c",
    )
    classifier = ScriptedClassifier(("return_policy",))
    pipeline = Pipeline(memory.conversations, policy, classifier, memory.ledger, Stopped(), answering)
    entrance = Entrance(Mailbox("eval"), Stopped(), lambda text: "en")
    return await run(tickets(*rows), SUITE, pipeline, entrance, until=until)


def tickets(*rows: dict[str, Any]) -> Sequence[LabelledTicket]:
    return [LabelledTicket.model_validate({"body": "What is the return policy?", **row}) for row in rows]


async def test_a_ticket_is_taken_to_the_gate_and_its_row_says_all() -> None:
    (row,) = await predicted({"id": "a"})
    assert (row.intent, row.disposition, row.answer) == ("return_policy", "suggest", TEXT)
    assert [source.article_id for source in row.sources] == ["returns"]
    assert row.sentences[0].supported


async def test_earlier_turns_stand_before_the_model() -> None:
    model = ScriptedModel(quoting)
    thread = [{"speaker": "user", "text": "Hello there"}, {"speaker": "agent", "text": "How can I help?"}]
    await predicted({"id": "a", "thread": thread}, model=model)
    shown = DraftRequest.model_validate_json(model.shown[0].user).transcript
    assert [(turn.author.value, turn.text) for turn in shown] == [
        ("customer", "Hello there"),
        ("bot", "How can I help?"),
    ]


@pytest.mark.parametrize(
    ("until", "sources", "answer"),
    [("router", 0, ""), ("retrieval", 1, ""), ("resolution", 1, TEXT)],
)
async def test_a_run_ends_at_its_last_stage(until: Until, sources: int, answer: str) -> None:
    (row,) = await predicted({"id": "a"}, until=until)
    assert (len(row.sources), row.answer) == (sources, answer)
    assert (row.disposition, row.rule) == ("handoff", f"stopped-at-{until}")


@pytest.mark.parametrize(
    "row",
    [
        {"body": "", "subject": ""},
        {"body": "x" * 300_000},
        {"channel": "whatsapp"},
        {"channel": "chat", "body": "\u0000\u200b"},
        {"channel": "carrier pigeon", "customer_id": "nobody-we-know"},
        {"thread": [{}]},
    ],
)
async def test_an_odd_row_is_a_row_and_never_the_end_of_the_run(row: dict[str, Any]) -> None:
    found = await predicted({"id": "odd", **row}, {"id": "after"})
    assert [one.id for one in found] == ["odd", "after"]
    assert found[1].answer == TEXT


async def test_a_part_that_is_down_ends_the_run_by_its_name() -> None:
    with pytest.raises(DependencyDown, match="vLLM"):
        await predicted(
            {"id": "a"}, {"id": "b"}, model=ScriptedModel(lambda prompt: DependencyDown("vLLM", "no answer"))
        )


def test_one_customers_tickets_stay_together_in_their_order() -> None:
    rows = tickets(
        {"id": "1", "customer_id": "anna"},
        {"id": "2"},
        {"id": "3", "customer_id": "anna", "conversation": "c"},
        {"id": "4", "conversation": "c"},
    )
    assert [[ticket.id for ticket in turns] for turns in in_order(rows)] == [["1", "3", "4"], ["2"]]
