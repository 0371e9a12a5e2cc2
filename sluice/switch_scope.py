"""Whether the scope of a switch means what its writer thinks: a stop with a typo stops nothing."""

from difflib import get_close_matches

from infra.postgres.pool import fetch_value
from infra.settings import Settings, SettingsError
from infra.wiring import LOCAL_CLASSIFIER, Adapters, open_adapters
from schemas.control import Scope, ScopeKind
from sluice.reach import database_of


class Unchecked(Exception):
    """Nobody can tell whether the scope is known; the message says why."""


def doubt(settings: Settings, scope: Scope) -> str | None:
    """Why no ticket can match a scope, with the names near it; None where one can. Customers are in the database.

    Raises:
        Unchecked: the policy cannot be read.
    """
    if scope.kind is not ScopeKind.INTENT:
        return None
    try:
        policy = Adapters(settings, {}).policy
    except SettingsError as error:
        raise Unchecked(str(error)) from None
    known = {*policy.intents, *policy.hard_rules.intents.values()}
    if scope.value in known:
        return None
    known |= trained_intents(settings)
    if scope.value in known:
        return None
    near = get_close_matches(scope.value.casefold(), sorted(known), n=3)
    hint = f"; did you mean {' or '.join(f'intent:{name}' for name in near)}?" if near else ""
    return f"neither the policy nor the classifier knows the intent {scope.value!r}{hint}"


def trained_intents(settings: Settings) -> set[str]:
    """The intents of the local classifier; none where it is not used, or not trained yet."""
    if settings.model_router != LOCAL_CLASSIFIER:
        return set()
    from infra.models.classifier import load
    from infra.models.untrained import NotTrained

    try:
        trained, _ = load(settings.artefacts)
    except NotTrained:
        return set()
    return {str(intent) for intent in trained.intents}


async def is_customer(settings: Settings, customer_id: str) -> bool:
    """Whether the database has such a customer.

    Raises:
        Retryable: Postgres does not answer.
    """
    async with open_adapters(settings, database_of(settings), ["people"]) as adapters:
        return bool(await fetch_value(adapters.pools["people"], "customer_known", {"customer": customer_id}))
