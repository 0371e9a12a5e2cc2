"""The wiring: the only place that constructs adapters. Each is made when it is first asked for, once.

The models are imported where they are made: their libraries take seconds to load, and most commands need none of them.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import httpx
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from infra.certificate import CERTIFICATE, frozen_of, read_certified
from infra.clock import SystemClock
from infra.crm import Row, customers_of
from infra.embeddings.remembered import Remembered
from infra.embeddings.shelf import Shelf
from infra.helpdesk.channels import ByChannel
from infra.helpdesk.chat import ChatReplies
from infra.helpdesk.recorded import RecordedHelpdesk
from infra.helpdesk.scripted import ScriptedHelpdesk
from infra.helpdesk.smtp import SmtpReplies, SmtpServer
from infra.helpdesk.webhook import WebhookHelpdesk
from infra.helpdesk.whatsapp import WhatsApp
from infra.knowledge import Article, Format, format_of, intercom, read_articles, zendesk
from infra.knowledge.paging import Paged
from infra.outcome_webhook import OutcomeWebhook
from infra.postgres.conversations import PostgresConversations
from infra.postgres.customers import PostgresCustomers
from infra.postgres.guard import PostgresGuardMemory
from infra.postgres.knowledge import PostgresKnowledge
from infra.postgres.labels import PostgresLabels
from infra.postgres.ledger import PostgresLedger
from infra.postgres.outside import PostgresOutsideClaims
from infra.postgres.pool import Address, Pool, open_pool
from infra.postgres.queue import PostgresQueue
from infra.postgres.switch import PostgresSwitchTable
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.failpoints import failing, skewed
from infra.scripted.ledger import ScriptedLedger
from infra.scripted.switch import ScriptedSwitchTable
from infra.settings import DatabaseRole, Settings, SettingsError
from processors.certificate import CertificateError
from processors.disclosure import Disclosure
from processors.mail_reply import Letterhead
from processors.mail_token import TokenKey
from processors.policy import Policy, PolicyError
from processors.ports import (
    Classifier,
    Clock,
    Conversations,
    Customers,
    GuardMemory,
    Helpdesk,
    Knowledge,
    Labels,
    Ledger,
    Listener,
    Model,
    OutsideClaims,
    Reopenings,
    Replies,
    SwitchTable,
    Verifier,
)
from processors.queue import PeopleDesk
from processors.resolution import PromptFile, load_prompt
from processors.router import ModelClassifier
from processors.selective import Certified, SelectiveError
from processors.templates import texts_of
from schemas.event import Stage
from schemas.ingress import Channel
from schemas.router import Tier

PROMPTS = Path(__file__).parent.parent / "processors" / "prompts"
POLICY = Path(__file__).parent / "policy.toml"
LOCAL_CLASSIFIER = "local/classifier"

ROLES: Mapping[Stage, tuple[DatabaseRole, ...]] = {
    Stage.ROUTER: ("router",),
    Stage.RETRIEVAL: ("retrieval",),
    Stage.RESOLUTION: ("resolution",),
    Stage.GATE: (),
    Stage.OUTCOME: ("outcome",),
    Stage.NOTIFY: (),
}


class Adapters:
    """The adapters that the settings name, on the database pools that were opened for them.

    A member raises SettingsError where a setting cannot be used, naming it, and KeyError where no pool of its login
    role was opened.
    """

    def __init__(
        self, settings: Settings, pools: Mapping[DatabaseRole, Pool], embedder: Remembered | None = None
    ) -> None:
        """Take the settings and pools; an embedder that is there already is not loaded again."""
        self.settings = settings
        self.pools = pools
        self.clock: Clock = skewed(SystemClock(), settings.failpoint)
        self.retrieval_threshold = settings.retrieval_threshold
        self.retrieval_limit = settings.retrieval_limit
        self.retrieval_timeout = settings.retrieval_timeout
        self.model_deadline = settings.model_deadline
        self.gate_floor = settings.gate_floor
        self.claim_lease = settings.claim_lease
        self.helpdesk_deadline = settings.helpdesk_deadline
        self.outside_channels = frozenset(settings.outside_channels)
        if embedder is not None:
            self.embedder = embedder

    @cached_property
    def policy(self) -> Policy:
        """The policy in force."""
        path = self.settings.policy or POLICY
        try:
            return Policy.parse(path.read_text(encoding="utf-8"))
        except (OSError, PolicyError) as error:
            raise SettingsError(f"SLUICE_POLICY {path}: {error}") from None

    @property
    def config_hash(self) -> str:
        """SHA-256 of the settings that a decision depends on, hex; secrets and addresses are none of them."""
        parts = (
            self.settings.model_router,
            self.settings.model_commodity,
            self.settings.model_frontier,
            self.retrieval_threshold,
            self.retrieval_limit,
            self.gate_floor,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @cached_property
    def embedder(self) -> Remembered:
        """Sentence embeddings."""
        return embedder_of(self.settings)

    # -- router

    @cached_property
    def admissions(self) -> Conversations:
        """Conversations as the router may touch them."""
        return failing(PostgresConversations(self.pools["router"]), self.settings.failpoint)

    @cached_property
    def classifier(self) -> Classifier:
        """The local classifier, or a model that is asked for the intent."""
        from infra.models.classifier import LocalClassifier
        from infra.models.roles import remote

        if self.settings.model_router == LOCAL_CLASSIFIER:
            return LocalClassifier.load(self.settings.artefacts, self.embedder)
        model = remote(self.settings.model_router, "MODEL_ROUTER", self.settings)
        instructions = (PROMPTS / "router.md").read_text(encoding="utf-8")
        return ModelClassifier(model, tuple(self.policy.intents), instructions, self.model_deadline)

    @cached_property
    def router_ledger(self) -> Ledger:
        """The ledger as the router may append to it."""
        return PostgresLedger(self.pools["router"])

    # -- retrieval

    @cached_property
    def knowledge(self) -> Knowledge:
        """The help centre beside the customers' records, what it finds in the order that the trained parts say."""
        from infra.models.ranker import LocalRanker, RankedSources

        found = PostgresKnowledge(self.pools["retrieval"], self.embedder)
        return RankedSources(found, LocalRanker.load(self.settings.artefacts, self.embedder))

    @cached_property
    def customers(self) -> Customers:
        """The records of a proved customer, of the kinds that the policy allows an intent."""
        return PostgresCustomers(self.pools["retrieval"], self.policy.facts)

    # -- resolution

    @cached_property
    def models(self) -> Mapping[Tier, Sequence[Model]]:
        """The drafting models of each tier."""
        from infra.models.roles import bind

        return bind(self.settings, embedder=self.embedder)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger as resolution may append to it."""
        return PostgresLedger(self.pools["resolution"])

    @cached_property
    def prompt(self) -> PromptFile:
        """The drafting prompt."""
        return load_prompt((PROMPTS / "reply.md").read_text(encoding="utf-8"))

    # -- gate

    @cached_property
    def verifier(self) -> Verifier:
        """The trained verifier."""
        from infra.models.verifier import LocalVerifier

        render = partial(texts_of, kinds=self.policy.records)
        return LocalVerifier.load(self.settings.artefacts, self.embedder, floor=self.settings.gate_floor, render=render)

    @cached_property
    def frozen(self) -> str:
        """SHA-256 of all that a certificate is issued for, hex: another one, and the certificate is void."""
        parts = (self.config_hash, self.policy.hash, self.prompt.hash, self.embedder.name)
        return frozen_of(self.settings.artefacts, parts)

    @cached_property
    def certified(self) -> Certified:
        """The certificate in force; none where its file cannot be used: then nothing is sent, and `doctor` says why."""
        folder = self.settings.artefacts
        try:
            return read_certified(folder, self.settings.certificate or folder / CERTIFICATE, self.frozen)
        except (CertificateError, SelectiveError, OSError):
            return Certified(None, None, self.frozen)

    # -- outcome

    @cached_property
    def conversations(self) -> Conversations:
        """Conversations as outcome may touch them: claims, items, decisions."""
        return failing(PostgresConversations(self.pools["outcome"]), self.settings.failpoint)

    @cached_property
    def reopenings(self) -> Reopenings:
        """Answers that their customers came back on."""
        return PostgresConversations(self.pools["outcome"])

    @cached_property
    def outside(self) -> OutsideClaims:
        """Claims of a helpdesk that delivers by itself."""
        return PostgresOutsideClaims(self.pools["outcome"])

    @cached_property
    def switch_table(self) -> SwitchTable:
        """The switch as outcome, or else the people, may set it."""
        return PostgresSwitchTable(self.pools["outcome"] if "outcome" in self.pools else self.pools["people"])

    @cached_property
    def helpdesk(self) -> Helpdesk:
        """Where replies and hand-overs go: replies by their channel, where it has a way out of its own."""
        return failing(ByChannel(self._desk, self._channels()), self.settings.failpoint)

    def _channels(self) -> Mapping[Channel, Replies]:
        """The channels with a way out of their own."""
        found: dict[Channel, Replies] = {Channel.CHAT: ChatReplies(self._desk)}
        token = self.settings.whatsapp_access_token
        if token is not None:
            found[Channel.WHATSAPP] = WhatsApp(
                self._http,
                url=self.settings.whatsapp_api_url,
                token=token.get_secret_value(),
                numbers=self.settings.whatsapp_phone_number_id,
                clock=self.clock,
                disclosure=self._disclosure,
            )
        if self.settings.smtp_host is not None:
            found[Channel.EMAIL] = self._mail(self.settings.smtp_host)
        return found

    @property
    def _disclosure(self) -> Disclosure:
        return Disclosure(self.policy.automatic.disclosure, self.policy.automatic.note)

    def _mail(self, host: str) -> SmtpReplies:
        settings = self.settings
        sender, secret, password = settings.mail_from, settings.mail_secret, settings.smtp_password
        if sender is None or secret is None:
            raise SettingsError("SMTP_HOST is set: set MAIL_FROM and SLUICE_MAIL_SECRET")
        server = SmtpServer(
            host=host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=password.get_secret_value() if password else None,
        )
        key = TokenKey(account=settings.mail_account, secret=secret.get_secret_value().encode())
        head = Letterhead(sender.name, sender.address, key, self._disclosure)
        return SmtpReplies(server, head, self.clock)

    @cached_property
    def _desk(self) -> Helpdesk:
        """The helpdesk where people work."""
        if self.settings.helpdesk == "recorded":
            return RecordedHelpdesk(self.pools["outcome"] if "outcome" in self.pools else self.pools["people"])
        url, secret = self.settings.helpdesk_webhook_url, self.settings.helpdesk_webhook_secret
        if url is None or secret is None:
            raise SettingsError("HELPDESK is webhook: set HELPDESK_WEBHOOK_URL and HELPDESK_WEBHOOK_SECRET")
        return WebhookHelpdesk(
            self._http,
            url=url,
            secret=secret.get_secret_value(),
            clock=self.clock,
            find_url=self.settings.helpdesk_find_url,
        )

    # -- people

    @cached_property
    def people(self) -> PeopleDesk:
        """The people's queue, and what it needs to send a person's reply."""
        pool = self.pools["people"]
        return PeopleDesk(
            conversations=PostgresConversations(pool),
            helpdesk=self.helpdesk,
            clock=self.clock,
            lease=self.claim_lease,
            deadline=self.helpdesk_deadline,
            queue=PostgresQueue(pool),
        )

    # -- audits and the live guard

    @cached_property
    def labels(self) -> Labels:
        """Audits of what went out by itself."""
        return PostgresLabels(self.pools["auditor"])

    @cached_property
    def guard_memory(self) -> GuardMemory:
        """What the live guard knows; the auditor may look at it."""
        return PostgresGuardMemory(self.pools["guard"] if "guard" in self.pools else self.pools["auditor"])

    @cached_property
    def guard_switch(self) -> SwitchTable:
        """The switch as the live guard may set it."""
        return PostgresSwitchTable(self.pools["guard"])

    # -- who is told

    @cached_property
    def listener(self) -> Listener:
        """The system outside that is told of outcomes."""
        url, secret = self.settings.outcome_webhook_url, self.settings.outcome_webhook_secret
        if url is None or secret is None:
            raise SettingsError("nobody is told of outcomes: set OUTCOME_WEBHOOK_URL and OUTCOME_WEBHOOK_SECRET")
        return OutcomeWebhook(self._http, url=url, secret=secret.get_secret_value(), clock=self.clock)

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient()

    async def aclose(self) -> None:
        """Close the connections of what was made."""
        if "models" in vars(self):
            from infra.models.roles import close

            await close(model for tier in self.models.values() for model in tier)
        if "_http" in vars(self):
            await self._http.aclose()


@asynccontextmanager
async def open_adapters(
    settings: Settings, owner_url: Address, roles: Iterable[DatabaseRole], *, wait: bool = True
) -> AsyncIterator[Adapters]:
    """The adapters, with connections for these login roles; everything is closed at the end.

    Without `wait` it opens while Postgres is away, and what needs it raises DependencyDown until it is there.

    Raises:
        DependencyDown: Postgres does not answer.
        SettingsError: a setting cannot be used.
    """
    async with AsyncExitStack() as closing:
        pools: dict[DatabaseRole, Pool] = {}
        for role in roles:
            pools[role] = await open_pool(_address(settings, role, owner_url), wait=wait)
            closing.push_async_callback(pools[role].close)
        adapters = Adapters(settings, pools)
        closing.push_async_callback(adapters.aclose)
        yield adapters


def _address(settings: Settings, role: DatabaseRole, owner: Address) -> Address:
    """The database for a login role."""
    if isinstance(owner, str):
        return settings.database_url_for(role, owner)
    return lambda: settings.database_url_for(role, owner())


def embedder_of(settings: Settings, *, threads: int = 1) -> Remembered:
    """Sentence embeddings; the first time on a machine their graph is built, in a few seconds.

    `threads` texts are computed at a time. BLAS keeps to one thread from here on: these matrices are small, and on a
    busy machine two threads wait for each other, fifty times as long as the product takes.
    """
    from infra.embeddings.minilm import MiniLM

    threadpool_limits(1, user_api="blas")
    minilm = MiniLM(settings.home / "cache", threads)
    return Remembered(minilm, shelf=Shelf(settings.home / "cache" / f"{minilm.graph}.shelf"))


async def articles_of(source: str, kind: Format | None, settings: Settings) -> list[Article]:
    """The articles of a file, a folder or a vendor's API; without `kind`, of what the source looks like.

    Raises:
        UnreadableFile: a file is no article, or what the source is cannot be told.
        SettingsError: the token is not set, or would go over an open line.
        DependencyDown: the vendor does not answer.
        Rejected: the vendor refuses the token.
    """
    kind = kind or format_of(source)
    if kind not in (Format.ZENDESK, Format.INTERCOM):
        return read_articles(Path(source), kind)
    base = source.rstrip("/")
    if not base.startswith("https://") and httpx.URL(base).host not in ("127.0.0.1", "localhost"):
        raise SettingsError(f"{source}: write it with https://, as a token goes there")
    async with httpx.AsyncClient() as client:
        if kind is Format.INTERCOM:
            return await intercom.fetch_articles(Paged(client), base, _token(settings, "intercom_access_token"))
        token = _token(settings, "zendesk_api_token")
        if settings.zendesk_email is None:
            raise SettingsError("set ZENDESK_EMAIL: the agent whose token it is")
        return await zendesk.fetch_articles(Paged(client), base, settings.zendesk_email, token)


def _token(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None:
        raise SettingsError(f"set {name.upper()}")
    return str(value.get_secret_value())


async def keep(embedder: Remembered, articles: Iterable[Article]) -> None:
    """Compute what answering from these articles needs of them, once for all processes of this home."""
    from infra.models.helpcentre import texts_of as texts_of_articles

    texts = texts_of_articles(articles)
    await embedder.keep(texts.whole, texts.tokens)


@dataclass(frozen=True)
class InMemory:
    """What an evaluation writes to, and forgets."""

    conversations: Conversations
    helpdesk: Helpdesk
    ledger: Ledger
    switch_table: SwitchTable


def in_memory(clock: Clock, customers: Iterable[Row]) -> InMemory:
    """Conversations, helpdesk, ledger and switch without a database; the customers are those of a `crm.jsonl`."""
    switch = ScriptedSwitchTable()
    conversations = ScriptedConversations(clock, switch, customers_of(customers))
    return InMemory(conversations, ScriptedHelpdesk(), ScriptedLedger(clock), switch)


def roles_of(stages: Iterable[Stage]) -> tuple[DatabaseRole, ...]:
    """The login roles that these stages need."""
    return tuple(role for stage in stages for role in ROLES[stage])
