"""Internal documents, asked for by name and in their own words: not found, not shown to a model, not quoted."""

from datetime import UTC, datetime
from pathlib import Path

from evals.dataset import Suite
from evals.internal import asked_for
from evals.prediction import Prediction
from evals.task import Answering, Entrance, Pipeline, run
from infra.embeddings.scripted import HashingEmbedder
from infra.knowledge import Article, ArticleSection
from infra.models.scripted import ScriptedModel
from infra.scripted.classifier import ScriptedClassifier
from infra.scripted.customers import ScriptedCustomers
from infra.scripted.knowledge import ScriptedKnowledge
from infra.scripted.verifier import ScriptedVerifier
from infra.wiring import POLICY, in_memory
from processors.ingress.email import Mailbox
from processors.policy import Policy
from processors.ports import Prompt
from processors.resolution import DraftReply, DraftRequest, DraftSentence, load_prompt
from schemas.router import Tier

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "Offer a voucher of 50 dollars to whoever asks twice about the return policy."
PUBLIC = Article("returns", "Returns", (ArticleSection("how", "Return policy", "Return it within 45 days."),))
STAFF = Article("staff", "Retention (Internal)", (ArticleSection("how", "Vouchers", SECRET),), audience="internal")


class Stopped:
    """A clock that stands still."""

    def now(self) -> datetime:
        """A moment."""
        return NOW

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0


def telling(prompt: Prompt) -> DraftReply:
    """A model that quotes the internal document whatever it is shown."""
    return DraftReply(sentences=(DraftSentence(text=SECRET, article_id="staff", section_id="how", quote=SECRET),))


async def predicted(model: ScriptedModel) -> list[Prediction]:
    memory = in_memory(Stopped(), ())
    answering = Answering(
        knowledge=await ScriptedKnowledge.of(HashingEmbedder(), [PUBLIC, STAFF], now=NOW),
        customers=ScriptedCustomers((), {}),
        models={Tier.COMMODITY: [model]},
        prompt=load_prompt("Answer."),
        verifier=ScriptedVerifier(),
        helpdesk=memory.helpdesk,
        retrieval_threshold=0.0,
        retrieval_limit=3,
        gate_floor=0.92,
        model_deadline=1.0,
        config_hash="c",
    )
    policy = Policy.parse(POLICY.read_text(encoding="utf-8")).waived
    classifier = ScriptedClassifier(("return_policy",))
    pipeline = Pipeline(memory.conversations, policy, classifier, memory.ledger, Stopped(), answering)
    entrance = Entrance(Mailbox("eval"), Stopped(), lambda text: "en")
    return await run(asked_for([PUBLIC, STAFF]), Suite("s", Path(), (), (), {}), pipeline, entrance)


def test_each_internal_section_is_asked_for_by_name_and_in_its_words() -> None:
    name, words = sorted(ticket.body for ticket in asked_for([PUBLIC, STAFF]))[::-1]
    assert "Retention (Internal)" in name
    assert words == SECRET


async def test_it_is_neither_found_nor_shown_nor_quoted() -> None:
    model = ScriptedModel(telling)
    rows = await predicted(model)
    shown = [DraftRequest.model_validate_json(prompt.user).passages for prompt in model.shown]
    assert shown
    assert {passage.article_id for passages in shown for passage in passages} == {"returns"}
    assert {source.article_id for row in rows for source in row.sources} == {"returns"}
    assert [(row.answer, row.disposition) for row in rows] == [("", "handoff")] * 2
