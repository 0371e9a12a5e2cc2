"""`sluice topics`: create and describe every topic, from the one list in `schemas/topics.py`."""

from typing import Annotated, NoReturn

import typer
from confluent_kafka import KafkaException

from infra.kafka.admin import Admin
from infra.kafka.reason import reason
from infra.kafka.security import Address
from sluice.reach import bootstrap
from sluice.terminal import DOWN, WRONG, AsJson, commands, console, fail, print_json, read_settings, show

app = commands("The Kafka topics of Sluice.")


@app.command()
def create(as_json: AsJson = False) -> None:
    """Create the topics that are missing; existing ones are left as they are.

    Examples:

      sluice topics create

      KAFKA_BOOTSTRAP_SERVERS=kafka:9092 sluice topics create --json
    """
    brokers = bootstrap(read_settings())
    try:
        created = Admin(brokers).create_topics()
    except KafkaException as error:
        _fail(brokers, error)
    if as_json:
        print_json({"created": created})
    else:
        console.print("\n".join(f"created {name}" for name in created) or "every topic was there already")


@app.command()
def describe(
    differing: Annotated[bool, typer.Option(help="Only topics that are missing or differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every topic beside what it should be. Exit code 1 when one is missing or differs.

    Examples:

      sluice topics describe

      sluice topics describe --differing --json
    """
    brokers = bootstrap(read_settings())
    try:
        states = Admin(brokers).describe_topics()
    except KafkaException as error:
        _fail(brokers, error)
    rows = [
        {
            "topic": state.spec.name,
            "partitions": state.partitions,
            "retention": "for ever" if state.spec.retention_ms < 0 else f"{state.spec.retention_ms // 86_400_000} days",
            "cleanup": state.spec.cleanup,
            "differs": "; ".join(state.differences),
        }
        for state in states
        if state.differences or not differing
    ]
    show(rows, title="Topics", as_json=as_json)
    if any(state.differences for state in states):
        raise typer.Exit(WRONG)


def _fail(brokers: Address, error: KafkaException) -> NoReturn:
    fail(f"Kafka at {brokers}: {reason(brokers, error.args[0].str())}", DOWN)
