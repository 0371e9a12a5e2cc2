"""Resolution: draft the reply, and publish where the ledger's hash chains end."""

from collections.abc import Mapping, Sequence

from processors.errors import Rejected, TryLater
from processors.policy import Policy
from processors.ports import Clock, Ledger, Model, Switch
from processors.resolution import DraftResult, PromptFile, draft
from schemas.event import Stage
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import Tier
from schemas.topics import Topic
from streams.heads import publishing
from streams.retry import patient
from streams.step import Incoming, Input, Outgoing, StageDefinition, carrying


def resolution(  # noqa: PLR0913  each is a port or a limit of its own
    *,
    models: Mapping[Tier, Sequence[Model]],
    ledger: Ledger,
    switch: Switch,
    policy: Policy,
    clock: Clock,
    prompt: PromptFile,
    deadline: float,
) -> StageDefinition:
    """`tickets.retrieval` to `tickets.resolution`, and chain heads to `audit.heads`, so that a cut-off tail shows.

    `deadline` is the time of one model call in seconds. One ticket's failure goes on to the gate, which hands it over.
    What the gate will leave to a person because it waited too long is drafted by the commodity model.
    """

    async def drafted_for(incoming: Incoming[EvidenceFound]) -> DraftResult:
        found = incoming.event
        if policy.sheds(found.ticket.received_at, clock.now()):
            found = found.model_copy(update={"route": found.route.model_copy(update={"tier": Tier.COMMODITY})})
        view = switch.view(
            channel=found.ticket.channel, intent=found.route.intent, customer_id=found.admission.customer_id
        )
        try:
            return await draft(
                found,
                models=models,
                ledger=ledger,
                switch_view=view,
                prompt=prompt,
                deadline=deadline,
                kinds=policy.records,
            )
        except Rejected as error:
            return DraftResult(failure=str(error))
        except TryLater as error:
            if patient(incoming.tries):
                raise
            return DraftResult(failure=str(error))

    async def handle(incoming: Incoming[EvidenceFound]) -> tuple[Outgoing, ...]:
        found, result = incoming.event, await drafted_for(incoming)
        drafted = ReplyDrafted(
            ticket=found.ticket,
            admission=found.admission,
            route=found.route,
            evidence=found.evidence,
            draft=result.draft,
            failure=result.failure,
        )
        return (*publishing(result.heads), Outgoing(Topic.RESOLUTION, found.ticket.conversation, drafted))

    return StageDefinition(Stage.RESOLUTION, (Input(Topic.RETRIEVAL, carrying(EvidenceFound), handle),))
