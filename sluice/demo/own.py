"""What `sluice demo` takes from your settings, and when it keeps its hands off your Kafka and Postgres."""

import secrets

import psycopg

from evals.dataset import Suite
from infra.knowledge import read_articles
from infra.postgres.queries import query
from infra.settings import Settings, env_name
from processors.switch import Board
from schemas.control import SwitchState
from sluice.keys import only_here
from sluice.suite import SHOP, settings_of

ACTOR = "sluice demo"  # who arms the demo's switch
OPTION = "--use-configured"

# All other settings are the demo's own: it must reach no customer, helpdesk or mail server of yours.
TAKEN = frozenset(
    {"model_router", "model_commodity", "model_frontier", "model_deadline", "model_max_tokens", "model_prices"}
    | {"openai_api_key", "openai_base_url", "vllm_base_url", "max_in_flight", "log_level"}
    | {"edge_host", "edge_port", "worker_port", "otlp_endpoint", "otlp_headers", "trace_ratio"}
)
SERVICES = ("kafka_", "database_url")  # how the settings of Kafka and Postgres begin


class NotOurs(Exception):
    """The configured services are in use for something else; the message says what was found."""


def own_environ(settings: Settings, suite: Suite, *, use_configured: bool = False) -> dict[str, str]:
    """The variables that make your settings the demo's: a home for each suite, empty where yours do not count."""
    masked = {
        env_name(field, info): ""
        for field, info in Settings.model_fields.items()
        if field not in TAKEN and not (use_configured and field.startswith(SERVICES))
    }
    home = settings.home / "demo"
    return masked | settings_of(suite) | {"SLUICE_HOME": str(home if suite.name == SHOP else home / suite.name)}


def channel_secrets(settings: Settings) -> dict[str, str]:
    """The variables that open the doors of chat and WhatsApp, by secrets of this run; replies stay here.

    The page where anybody may chat is served where nobody else reaches the edge.
    """
    return {
        "SLUICE_CHAT_SECRET": secrets.token_urlsafe(32),
        "SLUICE_CHAT_DEMO": str(only_here(settings)).lower(),
        "WHATSAPP_APP_SECRET": secrets.token_hex(16),
        "WHATSAPP_VERIFY_TOKEN": secrets.token_urlsafe(16),
    }


def left_alone(settings: Settings) -> list[str]:
    """The names of your settings that name a Kafka or a Postgres."""
    fields = {"kafka_bootstrap_servers": settings.kafka_bootstrap_servers, "database_url": settings.database_url}
    return [env_name(field, Settings.model_fields[field]) for field, value in fields.items() if value is not None]


def check_ours(suite: Suite, owner_url: str | None, board: Board) -> None:
    """See that a demo may load its help centre and customers there, and arm the switch. Nothing is changed.

    Raises:
        NotOurs: there is another help centre, there are other customers, or somebody else stopped the replies.
        psycopg.OperationalError: Postgres does not answer.
    """
    articles, customers, stops = _held(owner_url) if owner_url else (set(), set(), {})
    articles -= {article.id for path in suite.articles for article in read_articles(path)}
    customers -= {str(row["customer_id"]) for row in suite.customers}
    stops |= {str(scope): entry.actor for scope, entry in board.scopes.items() if entry.state is not SwitchState.AUTO}
    foreign = (("articles", articles), ("customers", customers))
    found = [f"{len(ids)} {what} of another company" for what, ids in foreign if ids]
    found += [f"the switch of {scope}, stopped by {actor}" for scope, actor in stops.items() if actor != ACTOR]
    if found:
        raise NotOurs(f"the configured services hold {', '.join(found)}: leave {OPTION} out")


def _held(owner_url: str) -> tuple[set[str], set[str], dict[str, str]]:
    """The ids of articles and of customers, and who stopped which scope; nothing before the first migration."""
    with psycopg.connect(owner_url) as connection:
        if connection.execute(query("is_migrated")).fetchone() != (True,):
            return set(), set(), {}
        articles, customers = (
            {row[0] for row in connection.execute(query(name))} for name in ("article_ids", "customer_ids")
        )
        rows = connection.execute(query("switch_stops")).fetchall()
    return articles, customers, {kind + (f":{value}" if value else ""): actor for kind, value, actor in rows}
