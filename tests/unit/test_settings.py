"""Settings are complete, documented, and refuse what cannot work by the name of the setting to change."""

from pathlib import Path

import pytest

from infra.settings import ApiKey, SettingsError, example, load_settings
from schemas.event import Stage

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_nothing_set_means_the_embedded_local_default() -> None:
    settings = load_settings({})
    assert settings.kafka_bootstrap_servers is None
    assert settings.database_url is None
    assert settings.model_commodity == "local/extractive"
    assert settings.helpdesk == "recorded"


def test_env_example_lists_every_setting_with_its_meaning_and_default() -> None:
    assert EXAMPLE.read_text() == example(), "write it again: python -m infra.settings > .env.example"


def test_the_defaults_of_env_example_are_valid_and_change_nothing() -> None:
    lines = [line[1:] for line in EXAMPLE.read_text().splitlines() if line.startswith("#") and line[1:2].isupper()]
    given = dict(line.split("=", 1) for line in lines)
    assert len(given) > 30
    assert load_settings(given) == load_settings({})


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("MODEL_ROUTER", "gpt-4", "MODEL_ROUTER: write it as provider/name"),
        ("MODEL_FRONTIER", "acme/gpt-4", "MODEL_FRONTIER: write it as provider/name"),
        ("MODEL_FRONTIER", "openai/gpt-4", "OPENAI_API_KEY"),
        ("MODEL_FRONTIER", "vllm/llama", "VLLM_BASE_URL"),
        ("HELPDESK", "webhook", "HELPDESK_WEBHOOK_SECRET"),
        ("HELPDESK", "zendesk", "HELPDESK: "),
        ("SLUICE_GATE_FLOOR", "1.5", "SLUICE_GATE_FLOOR: "),
        ("SLUICE_GATE_FLOOR", "0", "SLUICE_GATE_FLOOR: "),
        ("SLUICE_RETRIEVAL_THRESHOLD", "0", "SLUICE_RETRIEVAL_THRESHOLD: "),
        ("SLUICE_RETRIEVAL_THRESHOLD", "nan", "SLUICE_RETRIEVAL_THRESHOLD: "),
        ("SLUICE_SWITCH_STALENESS", "inf", "SLUICE_SWITCH_STALENESS: "),
        ("SLUICE_SWITCH_STALENESS", "nan", "SLUICE_SWITCH_STALENESS: "),
        ("SLUICE_SWITCH_STALENESS", "61", "SLUICE_SWITCH_STALENESS: "),
        ("SLUICE_SWITCH_STALENESS", "0.5", "SLUICE_SWITCH_STALENESS: "),
        ("SLUICE_EDGE_PORT", "tcp://10.0.0.1:80", "SLUICE_EDGE_PORT: "),
        ("SLUICE_MAX_TICKET_BYTES", "99999999", "SLUICE_MAX_TICKET_BYTES: "),
        ("SLUICE_API_KEYS", "secret", "SLUICE_API_KEYS: write a key as KEY=ACCOUNT:SCOPE"),
        ("SLUICE_API_KEYS", "secret=shop:root", "SLUICE_API_KEYS: "),
        ("SLUICE_API_KEYS_FILE", "/nowhere", "SLUICE_API_KEYS_FILE cannot be read"),
        ("SLUICE_MODEL_PRICES", "openai/x=cheap", "SLUICE_MODEL_PRICES: write a price as"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "KAFKA_SECURITY_PROTOCOL: "),
        ("KAFKA_SECURITY_PROTOCOL", "SSL", "KAFKA_BOOTSTRAP_SERVERS (KAFKA_SECURITY_PROTOCOL is SSL)"),
        ("KAFKA_SASL_PASSWORD", "x", "set KAFKA_SECURITY_PROTOCOL to SASL_SSL or SASL_PLAINTEXT"),
        ("KAFKA_SSL_CA_LOCATION", __file__, "set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL"),
        ("KAFKA_SSL_CA_LOCATION", "/nowhere", "KAFKA_SSL_CA_LOCATION: "),
        ("SLUICE_GATE_FLOR", "0.5", "did you mean SLUICE_GATE_FLOOR?"),
    ],
)
def test_a_fault_names_the_setting_to_change(name: str, value: str, fault: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings({name: value})
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "x"}, "set KAFKA_SASL_MECHANISM ("),
        ({"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_PASSWORD": "x"}, "set KAFKA_SASL_USERNAME ("),
        ({"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "me"}, "set KAFKA_SASL_PASSWORD ("),
        ({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM: "),
        ({"KAFKA_SSL_CERTIFICATE_LOCATION": __file__}, "KAFKA_SSL_KEY_LOCATION ("),
        ({"KAFKA_SSL_KEY_LOCATION": __file__}, "KAFKA_SSL_CERTIFICATE_LOCATION ("),
    ],
)
def test_half_a_login_to_kafka_names_the_other_half(given: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", **given})
    assert fault in str(error.value)


MAIL = {
    "SMTP_HOST": "mx",
    "MAIL_FROM": "Shop <support@shop.example>",
    "SLUICE_EMAIL_MAILBOXES": "support@shop.example",
    "SLUICE_MAIL_SECRET": "s" * 32,
}


def test_a_mail_server_needs_a_sender_and_a_secret() -> None:
    sender = load_settings(MAIL).mail_from
    assert sender is not None
    assert (sender.name, sender.address) == ("Shop", "support@shop.example")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"MAIL_FROM": ""}, "set MAIL_FROM ("),
        ({"MAIL_FROM": "Shop"}, "MAIL_FROM: write it as Name <address@example.com>"),
        ({"SLUICE_MAIL_SECRET": ""}, "set SLUICE_MAIL_SECRET ("),
        ({"SLUICE_MAIL_SECRET": "hunter2"}, "SLUICE_MAIL_SECRET: "),
        ({"SLUICE_EMAIL_MAILBOXES": ""}, "set SLUICE_EMAIL_MAILBOXES ("),
        ({"SMTP_USERNAME": "me"}, "set SMTP_USERNAME and SMTP_PASSWORD, or neither"),
        ({"SMTP_USERNAME": "me", "SMTP_PASSWORD": "hunter2", "SMTP_SECURITY": "none"}, "set SMTP_SECURITY to starttls"),
        ({"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY: "),
    ],
)
def test_half_a_mail_server_names_what_is_missing(given: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(MAIL | given)
    assert fault in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["SLUICE_EDGE_SERVICE_HOST", "SLUICE_EDGE_PORT_8700_TCP", "SLUICE_TEST_PORTS", "PATH"])
def test_names_that_are_not_ours_are_left_alone(name: str) -> None:
    assert load_settings({name: "whatever"}) == load_settings({})


def test_a_bare_name_never_sets_a_prefixed_setting() -> None:
    assert load_settings({"HOME": "/root"}).home == Path("var")


def test_secrets_appear_neither_in_faults_nor_in_the_settings_shown() -> None:
    with pytest.raises(SettingsError) as error:
        load_settings({"SLUICE_API_KEYS": "hunter2=shop:root"})
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(load_settings({"SLUICE_API_KEYS": "hunter2=shop:service"}))


def test_keys_come_from_the_setting_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# the shop\nabc=shop:service\n\n")
    settings = load_settings({"SLUICE_API_KEYS": "d=web:customer", "SLUICE_API_KEYS_FILE": str(tmp_path / "keys")})
    assert [(key.account, key.scope) for key in settings.api_keys] == [("web", "customer"), ("shop", "service")]
    assert all(isinstance(key, ApiKey) for key in settings.api_keys)


def test_a_role_connects_as_its_own_login_without_the_owners_password() -> None:
    owner = "postgresql://postgres:pw@db:5432/sluice?host=/run"
    assert load_settings({}).database_url_for("edge", owner) == "postgresql://sluice_edge@db:5432/sluice?host=/run"
    given = load_settings({"DATABASE_URL_EDGE": "postgresql://e@db/s"})
    assert given.database_url_for("edge", owner) == "postgresql://e@db/s"


def test_a_stage_has_its_own_limit_where_one_is_set() -> None:
    settings = load_settings({"SLUICE_MAX_IN_FLIGHT": "32", "SLUICE_MAX_IN_FLIGHT_OF": "resolution=16, outcome=8"})
    assert [settings.in_flight_of(stage) for stage in (Stage.RESOLUTION, Stage.OUTCOME, Stage.GATE)] == [16, 8, 32]


@pytest.mark.parametrize("value", ["drafting=3", "outcome", "outcome=0", "outcome=many"])
def test_a_limit_of_no_stage_names_the_setting(value: str) -> None:
    with pytest.raises(SettingsError, match="SLUICE_MAX_IN_FLIGHT_OF"):
        load_settings({"SLUICE_MAX_IN_FLIGHT_OF": value})


def test_prices_are_known_for_local_models_and_unknown_where_not_given() -> None:
    settings = load_settings({"SLUICE_MODEL_PRICES": "openai/x=0.4:1.6"})
    price = settings.price_of("openai/x")
    assert price is not None
    assert (price.prompt, price.completion) == (0.4, 1.6)
    assert settings.price_of("openai/y") is None
    assert settings.price_of("local/extractive") is not None
