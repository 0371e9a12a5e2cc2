"""Every setting of Sluice, read once from the environment (and `.env`) into one frozen object that is passed down."""

import difflib
import os
import re
from collections.abc import Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from processors.mail_token import ADDRESS
from processors.queue import named_person
from schemas.event import Stage
from schemas.ingress import MAX_MESSAGE_BYTES, Channel
from schemas.topics import EVERY_STAGE

PREFIX = "SLUICE_"
PROVIDERS = ("local", "scripted", "openai", "vllm")

DatabaseRole = Literal["edge", "router", "retrieval", "resolution", "gate", "outcome", "people", "auditor", "guard"]


class SettingsError(Exception):
    """The environment cannot be used as it is; the message names each setting to change."""


class ApiKey(BaseModel):
    """A key of the edge. It names the account it writes for, and whether its holder may name a customer."""

    model_config = ConfigDict(frozen=True)

    key: SecretStr
    account: str
    scope: Literal["customer", "service"]  # service: what it says of the customer is proof; customer: a claim


class StaffKey(BaseModel):
    """A key of the people's queue on the edge, and the person who acts by it."""

    model_config = ConfigDict(frozen=True)

    key: SecretStr
    name: str


class ModelPrice(BaseModel):
    """What a model costs, in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True)

    model: str  # provider/name
    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)


class StageLimit(BaseModel):
    """How many tickets one stage works on at the same time."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    tickets: int = Field(gt=0)


class MailSender(BaseModel):
    """Who replies by e-mail come from."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str


def _sender(value: object) -> object:
    if not isinstance(value, str):
        return value
    name, address = parseaddr(value)
    if not ADDRESS.fullmatch(address.lower()) or any(char in value for char in "\r\n"):
        raise ValueError("write it as Name <address@example.com>")
    return MailSender(name=name, address=address)


def _words(value: object) -> object:
    """Split a comma-separated setting into its stripped, non-empty parts."""
    return tuple(part for part in map(str.strip, value.split(",")) if part) if isinstance(value, str) else value


def _model_name(value: str) -> str:
    provider, _, name = value.partition("/")
    if provider not in PROVIDERS or not name:
        raise ValueError(f"write it as provider/name, with one of the providers {', '.join(PROVIDERS)}")
    return value


def _key(line: object) -> object:
    if not isinstance(line, str):
        return line
    key, _, holder = line.partition("=")
    account, _, scope = holder.partition(":")
    if not (key and account):
        raise ValueError("write a key as KEY=ACCOUNT:SCOPE, with the scope customer or service")
    return ApiKey.model_validate({"key": key, "account": account, "scope": scope})


def _staff_key(line: object) -> object:
    if not isinstance(line, str):
        return line
    key, _, name = line.partition("=")
    if not key:
        raise ValueError("write a key as KEY=NAME, with the person's name")
    return StaffKey.model_validate({"key": key, "name": named_person(name)})


def _price(text: object) -> object:
    if not isinstance(text, str):
        return text
    model, _, prices = text.partition("=")
    prompt, _, completion = prices.partition(":")
    try:
        return ModelPrice(model=_model_name(model), prompt=float(prompt), completion=float(completion))
    except ValueError as error:
        raise ValueError("write a price as provider/name=PROMPT:COMPLETION, in dollars") from error


def _stage_limit(text: object) -> object:
    if not isinstance(text, str):
        return text
    stage, _, tickets = text.partition("=")
    if stage not in set(EVERY_STAGE) or not tickets.isdecimal():
        raise ValueError(f"write it as STAGE=NUMBER, with a stage of {', '.join(EVERY_STAGE)}")
    return StageLimit(stage=Stage(stage), tickets=int(tickets))


def _database(value: SecretStr) -> SecretStr:
    """Refuse what libpq cannot read, without repeating it: it may hold a password."""
    from psycopg import ProgrammingError  # here, as most of what reads settings needs no Postgres
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(value.get_secret_value())
    except ProgrammingError:
        parts = {}
    ports = str(parts.get("port") or "5432").split(",")
    url = value.get_secret_value().startswith(("postgresql://", "postgres://"))
    if not (url and parts and all(port.isdecimal() and 0 < int(port) < 65536 for port in ports)):
        raise ValueError("write it as postgresql://user@host:5432/database")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
Channels = Annotated[tuple[Channel, ...], NoDecode, BeforeValidator(_words)]


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", value):
        raise ValueError("write an origin as https://shop.example, in small letters and without a path")
    return value


def _article_url(value: str) -> str:
    if not value.startswith("https://") or "{article}" not in value:
        raise ValueError("write it as https://help.example/{article}")
    return value


Sender = Annotated[MailSender, NoDecode, BeforeValidator(_sender)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_words)]
ArticleUrl = Annotated[str, AfterValidator(_article_url)]
ModelName = Annotated[str, AfterValidator(_model_name)]
ApiKeys = Annotated[tuple[Annotated[ApiKey, BeforeValidator(_key)], ...], NoDecode, BeforeValidator(_words)]
StaffKeys = Annotated[tuple[Annotated[StaffKey, BeforeValidator(_staff_key)], ...], NoDecode, BeforeValidator(_words)]
StageLimits = Annotated[
    tuple[Annotated[StageLimit, BeforeValidator(_stage_limit)], ...], NoDecode, BeforeValidator(_words)
]
Prices = Annotated[tuple[Annotated[ModelPrice, BeforeValidator(_price)], ...], NoDecode, BeforeValidator(_words)]


def _known(name: str, default: str | None, meaning: str) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """A setting with a well-known name of its own; all others are named SLUICE_<FIELD>."""
    return Field(default, validation_alias=name, description=meaning)


class Settings(BaseSettings):
    """What an operator may set. Roles are named, never vendors; unset means the embedded, local default."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix=PREFIX, extra="forbid", validate_by_name=True, validate_default=True
    )

    # Where things are
    kafka_bootstrap_servers: str | None = _known(
        "KAFKA_BOOTSTRAP_SERVERS", None, "Kafka brokers as host:port,host:port. Unset: a local Apache Kafka is started."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _known(
        "KAFKA_SECURITY_PROTOCOL", "PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, for every client."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = _known(
        "KAFKA_SASL_MECHANISM", None, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, where the protocol is SASL_..."
    )
    kafka_sasl_username: str | None = _known(
        "KAFKA_SASL_USERNAME", None, "Name to log in to Kafka with, where the protocol is SASL_..."
    )
    kafka_sasl_password: SecretStr | None = _known("KAFKA_SASL_PASSWORD", None, "Its password.")
    kafka_ssl_ca_location: FilePath | None = _known(
        "KAFKA_SSL_CA_LOCATION", None, "PEM file of the authorities that may vouch for a broker. Unset: the system's."
    )
    kafka_ssl_certificate_location: FilePath | None = _known(
        "KAFKA_SSL_CERTIFICATE_LOCATION", None, "PEM file of this client's certificate, where the brokers ask for one."
    )
    kafka_ssl_key_location: FilePath | None = _known(
        "KAFKA_SSL_KEY_LOCATION", None, "PEM file of its private key; the same file where it holds both."
    )
    kafka_ssl_key_password: SecretStr | None = _known(
        "KAFKA_SSL_KEY_PASSWORD", None, "Password of that private key, where it has one."
    )
    database_url: DatabaseUrl | None = _known(
        "DATABASE_URL", None, "Postgres (with pgvector) as its owner. Unset: an embedded Postgres is started."
    )
    database_url_edge: DatabaseUrl | None = _known(
        "DATABASE_URL_EDGE", None, "Postgres as the edge. Unset: DATABASE_URL with the user sluice_edge."
    )
    database_url_router: DatabaseUrl | None = _known(
        "DATABASE_URL_ROUTER", None, "Postgres as the router. Unset: DATABASE_URL with the user sluice_router."
    )
    database_url_retrieval: DatabaseUrl | None = _known(
        "DATABASE_URL_RETRIEVAL", None, "Postgres as retrieval. Unset: DATABASE_URL with the user sluice_retrieval."
    )
    database_url_resolution: DatabaseUrl | None = _known(
        "DATABASE_URL_RESOLUTION", None, "Postgres as resolution. Unset: DATABASE_URL with the user sluice_resolution."
    )
    database_url_gate: DatabaseUrl | None = _known(
        "DATABASE_URL_GATE", None, "Postgres as the gate. Unset: DATABASE_URL with the user sluice_gate."
    )
    database_url_outcome: DatabaseUrl | None = _known(
        "DATABASE_URL_OUTCOME", None, "Postgres as outcome. Unset: DATABASE_URL with the user sluice_outcome."
    )
    database_url_people: DatabaseUrl | None = _known(
        "DATABASE_URL_PEOPLE", None, "Postgres as the people's queue. Unset: DATABASE_URL with the user sluice_people."
    )
    database_url_auditor: DatabaseUrl | None = _known(
        "DATABASE_URL_AUDITOR", None, "Postgres as the auditor. Unset: DATABASE_URL with the user sluice_auditor."
    )
    database_url_guard: DatabaseUrl | None = _known(
        "DATABASE_URL_GUARD", None, "Postgres as the live guard. Unset: DATABASE_URL with the user sluice_guard."
    )
    home: Path = Field(Path("var"), description="Folder of everything Sluice keeps: embedded Kafka and Postgres, logs.")
    models_dir: Path | None = Field(None, description="Folder of the trained parts. Unset: models in SLUICE_HOME.")

    # Models
    model_router: ModelName = _known(
        "MODEL_ROUTER", "local/classifier", "Model that names intent and band, as provider/name."
    )
    model_commodity: ModelName = _known(
        "MODEL_COMMODITY", "local/extractive", "Model that answers the simple tickets, as provider/name."
    )
    model_frontier: ModelName = _known(
        "MODEL_FRONTIER", "local/extractive", "Model that answers the hard tickets, as provider/name."
    )
    openai_api_key: SecretStr | None = _known("OPENAI_API_KEY", None, "Key for models named openai/...")
    openai_base_url: str | None = _known(
        "OPENAI_BASE_URL", None, "Address of the OpenAI-compatible service. Unset: the SDK's own."
    )
    vllm_base_url: str | None = _known(
        "VLLM_BASE_URL", None, "Address of the vLLM server, with its /v1, for models named vllm/..."
    )
    model_deadline: float = Field(20.0, gt=0, description="Total time of one model call, retries included, in seconds.")
    model_max_tokens: int = Field(
        2_000, gt=0, description="Longest answer of a model, in tokens. Less than its window (vLLM: --max-model-len)."
    )
    model_prices: Prices = Field(
        (), description="Prices as provider/name=PROMPT:COMPLETION, in dollars per million tokens, by commas."
    )

    # Policy and gate
    policy: Path | None = Field(
        None, description="The policy: hard rules, and what may be answered by itself. Unset: the one of the demo shop."
    )
    gate_floor: float = Field(
        0.92,
        ge=0.5,
        le=1,
        description="Support the worst sentence of a reply needs to be sent by itself, from 0.5 to 1.",
    )
    certificate: Path | None = Field(
        None,
        description="Certificate of `sluice certify`; without one nothing is sent. Unset: that of the trained parts.",
    )
    retrieval_threshold: float = Field(
        0.25, ge=0.05, le=1, description="Score the best passage needs to count as a source, from 0.05 to 1."
    )
    retrieval_limit: int = Field(8, gt=0, le=50, description="Passages a ticket is given at most.")
    retrieval_timeout: float = Field(
        2.0, gt=0, description="Longest wait for the evidence of a ticket that goes to a person anyway, in seconds."
    )
    switch_staleness: float = Field(
        5.0,
        ge=1,
        le=60,
        description="Age at which the last look at the switch counts as unknown, in seconds: nothing is sent.",
    )
    max_in_flight: int = Field(64, gt=0, description="Tickets a stage works on at the same time.")
    max_in_flight_of: StageLimits = Field(
        (), description="The same for single stages as STAGE=NUMBER, by commas, such as resolution=16,outcome=8."
    )
    session_timeout: float = Field(
        15.0, ge=6, le=300, description="Silence after which a worker loses its partitions to others, in seconds."
    )
    group_prefix: str = Field(
        "sluice",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Prefix of the consumer groups. A new one reads all anew.",
    )
    failpoint: str | None = Field(
        None, description="For chaos runs alone: METHOD:before|after=exit|raise|block:SECONDS fails on purpose, once."
    )

    # The edge and its mail
    edge_host: str = Field("127.0.0.1", description="Address the edge listens on.")
    edge_port: int = Field(8700, ge=0, le=65535, description="Port the edge listens on. 0: any free one.")
    edge_metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the edge's /metrics, apart from the public one. Unset: nowhere."
    )
    edge_docs: bool = Field(
        False, description="Serve /docs on the edge: /openapi.json as a page, whose scripts come from a CDN."
    )
    api_keys: ApiKeys = Field(
        (),
        description="Keys of the edge as KEY=ACCOUNT:SCOPE, by commas. Scope service may name customers, customer not.",
    )
    api_keys_file: Path | None = Field(None, description="File with more keys, one KEY=ACCOUNT:SCOPE a line.")
    staff_keys: StaffKeys = Field(
        (), description="Keys of the people's queue on the edge as KEY=NAME, by commas. Each act carries the name."
    )
    agent: str | None = Field(
        None, description="Who acts in `sluice queue`. Unset: the account you are logged in with."
    )
    max_ticket_bytes: int = Field(
        MAX_MESSAGE_BYTES, gt=0, le=MAX_MESSAGE_BYTES, description="Largest inbound message, in bytes."
    )
    email_authserv_ids: Words = Field(
        (),
        description="Mail servers whose Authentication-Results count (RFC 8601), by commas. None: no mail is proved.",
    )
    email_mailboxes: Words = Field((), description="Own support addresses, by commas: mail from them is a loop.")
    email_domains: Words = Field((), description="Own mail domains, by commas: mail from them is never a customer's.")

    # Web chat
    chat_secret: SecretStr | None = Field(
        None,
        description="What signs chat sessions: 32 random characters or more, the same at every edge. Unset: no chat.",
    )
    chat_origins: Origins = Field(
        (), description="Origins whose pages may chat, as https://shop.example, by commas. The edge's own always may."
    )
    chat_session_lasts: float = Field(
        8 * 3600.0, ge=60, le=7 * 86400, description="How long a chat session lasts, in seconds."
    )
    chat_article_url: ArticleUrl | None = Field(
        None,
        description="Where a cited article is read, as https://help.example/{article}. Unset: it is named, not linked.",
    )
    chat_demo: bool = Field(
        False, description="Serve /widget-demo, a page where anybody may chat without a name. Not for production."
    )

    # Replies by e-mail
    smtp_host: str | None = _known(
        "SMTP_HOST", None, "Mail server that takes replies to e-mail. Unset: they go where HELPDESK says."
    )
    smtp_port: int = Field(587, gt=0, le=65535, validation_alias="SMTP_PORT", description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        validation_alias="SMTP_SECURITY",
        description="starttls, tls (from the first byte, mostly port 465) or none (a server on this machine).",
    )
    smtp_username: str | None = _known("SMTP_USERNAME", None, "Name to log in to it with. Unset: no login.")
    smtp_password: SecretStr | None = _known("SMTP_PASSWORD", None, "Its password.")
    mail_from: Sender | None = Field(
        None,
        validation_alias="MAIL_FROM",
        description="Sender of replies, as Name <address>. Mail to it and its plus addresses must come back in.",
    )
    mail_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret that signs the reply tokens, 32 characters or more; the same for edge and workers.",
    )

    # WhatsApp
    whatsapp_app_secret: SecretStr | None = _known(
        "WHATSAPP_APP_SECRET", None, "Secret of the app at Meta that signs webhooks; two by a comma while it changes."
    )
    whatsapp_verify_token: SecretStr | None = _known(
        "WHATSAPP_VERIFY_TOKEN", None, "Token that Meta shows when the webhook is set up. Any long random text."
    )
    whatsapp_access_token: SecretStr | None = _known(
        "WHATSAPP_ACCESS_TOKEN", None, "Token of the Cloud API for replies. Unset: they go where HELPDESK says."
    )
    whatsapp_phone_number_id: Words = Field(
        (),
        validation_alias="WHATSAPP_PHONE_NUMBER_ID",
        description="Ids at Meta of the numbers that replies are sent from, by commas; not the numbers themselves.",
    )
    whatsapp_api_url: str = Field(
        "https://graph.facebook.com/v23.0",
        validation_alias="WHATSAPP_API_URL",
        description="Address of the Cloud API, with its version.",
    )

    # The helpdesk
    helpdesk: Literal["recorded", "webhook"] = _known(
        "HELPDESK", "recorded", "Where replies and hand-overs go: recorded (kept in Postgres) or webhook."
    )
    helpdesk_webhook_url: str | None = _known(
        "HELPDESK_WEBHOOK_URL", None, "Address of the helpdesk, where HELPDESK is webhook."
    )
    helpdesk_webhook_secret: SecretStr | None = _known(
        "HELPDESK_WEBHOOK_SECRET",
        None,
        "Signing secret of Standard Webhooks (whsec_...), where HELPDESK is webhook; while it changes, old,new.",
    )

    helpdesk_find_url: str | None = _known(
        "HELPDESK_FIND_URL", None, "Address that says what was done under ?key=. Unset: an unclear reply is parked."
    )
    helpdesk_deadline: float = Field(10.0, gt=0, description="Total time of one call of the helpdesk, in seconds.")
    claim_lease: float = Field(
        30.0, gt=0, description="How long a worker holds the right to send, in seconds. More than the deadline."
    )

    # Where help articles are imported from
    zendesk_email: str | None = _known(
        "ZENDESK_EMAIL", None, "Agent whose token reads Zendesk Guide, for `sluice ingest https://NAME.zendesk.com`."
    )
    zendesk_api_token: SecretStr | None = _known("ZENDESK_API_TOKEN", None, "Their API token.")
    intercom_access_token: SecretStr | None = _known(
        "INTERCOM_ACCESS_TOKEN", None, "Token that reads articles, for `sluice ingest https://api.intercom.io`."
    )

    # Telling systems outside
    outside_channels: Channels = Field(
        (), description="Channels, by commas, whose replies your own helpdesk claims (POST /v1/claims) and delivers."
    )
    outcome_webhook_url: str | None = _known(
        "OUTCOME_WEBHOOK_URL", None, "Where every outcome is posted, signed. Unset: nowhere; read tickets.outcome."
    )
    outcome_webhook_secret: SecretStr | None = _known(
        "OUTCOME_WEBHOOK_SECRET",
        None,
        "Signing secret of Standard Webhooks (whsec_...) for OUTCOME_WEBHOOK_URL; while it changes, old,new.",
    )

    # Traces
    otlp_endpoint: str | None = _known(
        "OTEL_EXPORTER_OTLP_ENDPOINT", None, "Where traces go by OTLP over HTTP (/v1/traces is added). Unset: nowhere."
    )
    otlp_headers: SecretStr | None = _known(
        "OTEL_EXPORTER_OTLP_HEADERS", None, "Headers for that address as name=value,name=value, such as a login."
    )
    trace_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of traces that are kept, where the sender of a ticket has not decided."
    )

    # What people see
    worker_port: int = Field(
        8701, ge=0, le=65535, description="Port of a worker's /livez, /readyz and /metrics. 0: any free one."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe line logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: `load_settings` alone reads the environment."""
        return (init_settings,)

    @property
    def has_helpdesk(self) -> bool:
        """Whether a helpdesk of its own works with this deployment."""
        return self.helpdesk == "webhook" or bool(self.outside_channels)

    @property
    def otlp_header_pairs(self) -> dict[str, str]:
        """OTEL_EXPORTER_OTLP_HEADERS, taken apart; the values are percent-encoded (W3C Baggage)."""
        given = self.otlp_headers.get_secret_value() if self.otlp_headers else ""
        pairs = (pair.partition("=") for pair in given.split(",") if "=" in pair)
        return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        """Name the settings that others make necessary."""
        missing = [name for name, needed in self._needs().items() if needed]
        if missing:
            raise ValueError("set " + " and ".join(missing))
        return self

    def _needs(self) -> dict[str, bool]:
        providers = {name.partition("/")[0] for name in self._models()}
        webhook = self.helpdesk == "webhook"
        return {
            "SLUICE_CLAIM_LEASE above SLUICE_HELPDESK_DEADLINE": self.claim_lease <= self.helpdesk_deadline,
            **self._kafka_needs(),
            **self._whatsapp_needs(),
            **self._mail_needs(),
            "OPENAI_API_KEY (a model is named openai/...)": "openai" in providers and self.openai_api_key is None,
            "VLLM_BASE_URL (a model is named vllm/...)": "vllm" in providers and self.vllm_base_url is None,
            "SLUICE_CHAT_SECRET of 32 characters or more": self.chat_secret is not None
            and len(self.chat_secret.get_secret_value()) < 32,
            "HELPDESK_WEBHOOK_URL (HELPDESK is webhook)": webhook and self.helpdesk_webhook_url is None,
            "HELPDESK_WEBHOOK_SECRET (HELPDESK is webhook)": webhook and self.helpdesk_webhook_secret is None,
            "OUTCOME_WEBHOOK_SECRET (OUTCOME_WEBHOOK_URL is set)": self.outcome_webhook_url is not None
            and self.outcome_webhook_secret is None,
        }

    def _mail_needs(self) -> dict[str, bool]:
        mail, login = self.smtp_host is not None, (self.smtp_username, self.smtp_password)
        return {
            "MAIL_FROM (SMTP_HOST is set)": mail and self.mail_from is None,
            "SLUICE_MAIL_SECRET (SMTP_HOST is set)": mail and self.mail_secret is None,
            "SLUICE_EMAIL_MAILBOXES (SMTP_HOST is set)": mail and not self.email_mailboxes,
            "SMTP_USERNAME and SMTP_PASSWORD, or neither": any(login) and not all(login),
            "SMTP_SECURITY to starttls or tls (a password is set)": any(login) and self.smtp_security == "none",
        }

    def _whatsapp_needs(self) -> dict[str, bool]:
        secret, token, numbers = self.whatsapp_app_secret, self.whatsapp_access_token, self.whatsapp_phone_number_id
        return {
            "WHATSAPP_VERIFY_TOKEN (WHATSAPP_APP_SECRET is set)": bool(secret) and self.whatsapp_verify_token is None,
            "WHATSAPP_PHONE_NUMBER_ID (WHATSAPP_ACCESS_TOKEN is set)": bool(token) and not numbers,
        }

    def _kafka_needs(self) -> dict[str, bool]:
        protocol = self.kafka_security_protocol
        sasl, tls = protocol.startswith("SASL"), protocol.endswith("SSL")
        login = (self.kafka_sasl_mechanism, self.kafka_sasl_username, self.kafka_sasl_password)
        certificate, key = self.kafka_ssl_certificate_location, self.kafka_ssl_key_location
        files = (self.kafka_ssl_ca_location, certificate, key, self.kafka_ssl_key_password)
        why = f"KAFKA_SECURITY_PROTOCOL is {protocol}"
        return {
            f"KAFKA_BOOTSTRAP_SERVERS ({why})": self.kafka_bootstrap_servers is None and (sasl or tls),
            f"KAFKA_SASL_MECHANISM ({why})": sasl and self.kafka_sasl_mechanism is None,
            f"KAFKA_SASL_USERNAME ({why})": sasl and self.kafka_sasl_username is None,
            f"KAFKA_SASL_PASSWORD ({why})": sasl and self.kafka_sasl_password is None,
            "KAFKA_SECURITY_PROTOCOL to SASL_SSL or SASL_PLAINTEXT (a KAFKA_SASL_... is set)": any(login) and not sasl,
            "KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL (a KAFKA_SSL_... is set)": any(files) and not tls,
            "KAFKA_SSL_KEY_LOCATION (KAFKA_SSL_CERTIFICATE_LOCATION is set)": bool(certificate and not key),
            "KAFKA_SSL_CERTIFICATE_LOCATION (KAFKA_SSL_KEY_LOCATION is set)": bool(key and not certificate),
        }

    def _models(self) -> tuple[str, ...]:
        return (self.model_router, self.model_commodity, self.model_frontier)

    @property
    def artefacts(self) -> Path:
        """The folder of the trained parts."""
        return self.models_dir or self.home / "models"

    @property
    def mail_account(self) -> str:
        """What names every mail ticket and conversation: the first own address. Changing it renames them."""
        return self.email_mailboxes[0].lower() if self.email_mailboxes else "mail"

    def in_flight_of(self, stage: Stage) -> int:
        """How many tickets a stage works on at the same time; of two settings for it, the last one."""
        own = {limit.stage: limit.tickets for limit in self.max_in_flight_of}
        return own.get(stage, self.max_in_flight)

    def price_of(self, model: str) -> ModelPrice | None:
        """The price of `provider/name`; local and scripted models are free, None is an unknown price."""
        if model.partition("/")[0] in ("local", "scripted"):
            return ModelPrice(model=model, prompt=0, completion=0)
        return next((price for price in self.model_prices if price.model == model), None)

    def database_url_for(self, role: DatabaseRole, owner_url: str) -> str:
        """The URL a stage connects with: its own setting, else `owner_url` with the login role `sluice_<role>`."""
        own: SecretStr | None = getattr(self, f"database_url_{role}")
        return own.get_secret_value() if own else as_role(owner_url, f"sluice_{role}")


def as_role(url: str, role: str) -> str:
    """The same database for another login role; the password is left out, as it is another role's."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{place}"))


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """The settings of `env`, by default `.env` in the working folder overridden by the process's environment.

    An empty value is an unset one. Raises SettingsError for values that cannot be used and for misspelt SLUICE_ names.
    """
    if env is None:
        file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
        env = {**file, **os.environ}
    given = {name: value.strip() for name, value in env.items() if value.strip()}
    _reject_misspelt(given)
    try:
        settings = Settings(**_read(given))
        return settings.model_copy(update={"api_keys": settings.api_keys + _keys_of(settings.api_keys_file)})
    except ValidationError as error:
        raise SettingsError(_readable(error)) from None


def env_name(field: str, info: FieldInfo) -> str:
    """The environment variable that sets a field."""
    return str(info.validation_alias or PREFIX + field.upper())


def example() -> str:
    """The text of `.env.example`: every setting with its meaning, commented out at its default."""
    lines = [
        "# Every setting of Sluice. Copy to .env and change what differs; what stays commented out is the default.",
        "",
    ]
    for field, info in Settings.model_fields.items():
        lines += [f"# {info.description}", f"#{env_name(field, info)}={_shown(info.default)}", ""]
    return "\n".join(lines)


def _read(given: Mapping[str, str]) -> dict[str, Any]:
    """The given variables that are settings, as pydantic-settings reads them."""
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in given.items()}
    return source()


def _reject_misspelt(given: Mapping[str, str]) -> None:
    """A misspelt setting would silently be its default.

    Kubernetes' service links (SLUICE_X_SERVICE_HOST) pass, and what the tests are told (SLUICE_TEST_X).
    """
    known = [env_name(field, info) for field, info in Settings.model_fields.items()]
    unknown = [name for name in given if name.startswith(PREFIX) and name not in known]
    for name in unknown:
        if not name.startswith(f"{PREFIX}TEST_") and "_SERVICE_" not in name and "_PORT_" not in name:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; .env.example lists them all"
            raise SettingsError(f"{name} is not a setting{hint}")


def _keys_of(path: Path | None) -> tuple[ApiKey, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"SLUICE_API_KEYS_FILE cannot be read: {error.strerror}: {path}") from None
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return Settings(api_keys=tuple(keys)).api_keys


def _readable(error: ValidationError) -> str:
    """One line a fault. Never the value: it may be a secret."""
    return "\n".join(dict.fromkeys(_line(fault["loc"], fault["msg"]) for fault in error.errors(include_input=False)))


def _line(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not place:
        return message
    field = str(place[0])
    name = env_name(field, Settings.model_fields[field]) if field in Settings.model_fields else field
    return f"{name}: {message}"


def _shown(default: object) -> str:
    return "" if default in (None, (), PydanticUndefined) else str(default)


if __name__ == "__main__":
    print(example(), end="")  # noqa: T201 - the text is the result
