"""What the demo takes from an operator's settings: models and ports, never services or ways out."""

import pytest

from infra.settings import Settings, env_name, load_settings
from sluice.demo.own import left_alone, own_environ
from sluice.suite import open_suite

YOURS = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": "sluice",
    "KAFKA_SASL_PASSWORD": "secret",
    "DATABASE_URL": "postgresql://owner@db/sluice",
    "DATABASE_URL_OUTCOME": "postgresql://outcome@db/sluice",
    "HELPDESK": "webhook",
    "HELPDESK_WEBHOOK_URL": "https://desk.example",
    "HELPDESK_WEBHOOK_SECRET": "whsec_c2VjcmV0",
    "OUTCOME_WEBHOOK_URL": "https://crm.example",
    "OUTCOME_WEBHOOK_SECRET": "whsec_c2VjcmV0",
    "WHATSAPP_ACCESS_TOKEN": "token",
    "WHATSAPP_PHONE_NUMBER_ID": "1",
    "SLUICE_API_KEYS": "key=acme:service",
    "SLUICE_HOME": "/srv/sluice",
    "MODEL_COMMODITY": "vllm/llama",
    "VLLM_BASE_URL": "http://vllm:8000/v1",
    "SLUICE_EDGE_PORT": "9700",
}


def demo(use_configured: bool) -> Settings:
    own = own_environ(load_settings(YOURS), open_suite("shop"), use_configured=use_configured)
    return load_settings({**YOURS, **own})


def test_the_demo_reaches_none_of_your_services_and_nobody_of_yours() -> None:
    found = demo(use_configured=False)
    kept = {"MODEL_COMMODITY", "VLLM_BASE_URL", "SLUICE_EDGE_PORT", "SLUICE_HOME"}
    changed = {
        env_name(field, info): getattr(found, field)
        for field, info in Settings.model_fields.items()
        if env_name(field, info) in YOURS.keys() - kept
    }
    defaults = load_settings({})
    same = {env_name(field, info): getattr(defaults, field) for field, info in Settings.model_fields.items()}
    assert changed == {name: same[name] for name in changed}


def test_the_demo_takes_your_models_and_ports() -> None:
    found = demo(use_configured=False)
    assert (found.model_commodity, found.vllm_base_url) == ("vllm/llama", "http://vllm:8000/v1")
    assert (found.edge_port, str(found.home)) == (9700, "/srv/sluice/demo")


def test_your_services_are_used_where_you_say_so_and_nothing_else_of_yours() -> None:
    found = demo(use_configured=True)
    assert (found.kafka_bootstrap_servers, found.kafka_sasl_username) == ("kafka:9092", "sluice")
    assert found.database_url is not None
    assert (found.helpdesk, found.outcome_webhook_url) == ("recorded", None)


@pytest.mark.parametrize("names", [[], ["KAFKA_BOOTSTRAP_SERVERS"], ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"]])
def test_the_demo_names_what_it_leaves_alone(names: list[str]) -> None:
    given = {name: YOURS[name] for name in names}
    assert left_alone(load_settings(given)) == names
