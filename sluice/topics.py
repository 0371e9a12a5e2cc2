"""`sluice topics`: create, describe and guard every topic, from the one list in `schemas/topics.py`."""

from dataclasses import asdict
from typing import Annotated, NoReturn

import typer
from confluent_kafka import KafkaException

from infra.kafka.acls import HELPDESK, Deployable, deployables, grants, written
from infra.kafka.admin import Admin
from infra.kafka.reason import reason
from infra.kafka.security import Address
from schemas.topics import all_topics
from sluice.reach import bootstrap
from sluice.terminal import DOWN, USAGE, WRONG, AsJson, commands, console, fail, print_json, read_settings, show

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


@app.command()
def acls(
    only: Annotated[str | None, typer.Option("--principal", help="One of them, such as router.")] = None,
    helpdesk: Annotated[str, typer.Option(help="Consumer group of your system that delivers.")] = HELPDESK,
    shell: Annotated[bool, typer.Option("--commands", help="Print kafka-acls.sh lines instead of a table.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Add them on the cluster, as its administrator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who may do what on Kafka: one login per process, allowed what its code reads and writes, and no more.

    Names begin with SLUICE_GROUP_PREFIX. Nothing is ever removed from the cluster.

    Examples:

      sluice topics acls

      sluice topics acls --principal router --commands

      sluice topics acls --apply --helpdesk crm-bridge
    """
    settings = read_settings()
    prefix = settings.group_prefix
    found = [each for each in deployables(prefix, helpdesk) if only in (None, each.name)]
    if not found:
        fail(f"no principal {only!r}; one of {', '.join(each.name for each in deployables())}", USAGE)
    lines = [line for line in grants(prefix, helpdesk) if line.principal in {each.principal(prefix) for each in found}]
    if apply:
        brokers = bootstrap(settings)
        try:
            added = Admin(brokers).grant(lines)
        except KafkaException as error:
            _fail(brokers, error)
        print_json({"applied": added}) if as_json else console.print(f"{added} lines are in force")
    elif shell:
        typer.echo("\n".join(written(lines)))
    elif as_json:
        print_json([asdict(line) for line in lines])
    else:
        show([_allowed(each, prefix) for each in found], title="Who may do what", as_json=False)


def _allowed(found: Deployable, prefix: str) -> dict[str, object]:
    every = {spec.name for spec in all_topics()}
    groups = [*sorted(found.groups), *(f"{name} (Describe)" for name in sorted(found.looks_at))]
    return {
        "login": found.principal(prefix).removeprefix("User:"),
        "reads": "every topic" if found.reads == every else ", ".join(sorted(found.reads)),
        "writes": ", ".join(sorted(found.writes)),
        "groups": ", ".join(groups),
        "of": found.meaning,
    }


def _fail(brokers: Address, error: KafkaException) -> NoReturn:
    fail(f"Kafka at {brokers}: {reason(brokers, error.args[0].str())}", DOWN)
