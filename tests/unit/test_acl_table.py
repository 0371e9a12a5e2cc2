"""What each login is granted on Kafka, beside what the stages' own code reads, and beside the list it is held to."""

import json

import pytest
from typer.testing import CliRunner

from infra.kafka.acls import Deployable, Operation, deployables, grants, written
from schemas.event import Stage
from schemas.topics import EVERY_STAGE, STAGES, Topic, all_topics, dead_topic
from sluice.topics import app
from streams.stage import group_of, topics_of
from streams.worker import LAYERS
from tests.streams.test_layers import World

LISTED = {  # what each writes, retry topics apart
    "edge": {"tickets.inbound", "tickets.outcome"},
    "edge-chat": {"tickets.inbound", "tickets.outcome"},
    "router": {"tickets.router", "audit.heads", "router.dead"},
    "retrieval": {"tickets.retrieval", "retrieval.dead"},
    "resolution": {"tickets.resolution", "audit.heads", "resolution.dead"},
    "gate": {"tickets.auto-send", "tickets.escalation", "gate.dead"},
    "outcome": {"tickets.outcome", "tickets.escalation", "outcome.dead"},
    "notify": {"notify.dead"},
    "guard": {"control.switch"},
    "people": {"tickets.outcome"},
    "auditor": set(),
    "operator": {topic.value for topic in Topic} - {"audit.heads"},
    "producer": {"tickets.inbound"},
    "helpdesk": set(),
}


def named(name: str) -> Deployable:
    return next(found for found in deployables() if found.name == name)


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_stage_may_read_what_its_code_reads_and_the_switch(stage: Stage) -> None:
    world = World()
    definition = LAYERS[stage](world, world.switch, world.metrics)
    assert named(stage.value).reads == {*topics_of(definition), Topic.SWITCH}
    assert named(stage.value).groups == {group_of(stage)}


def test_what_each_may_write_is_as_listed() -> None:
    assert {each.name: {name for name in each.writes if ".retry-" not in name} for each in deployables()} == LISTED


def test_a_retry_topic_is_its_own_stages_alone() -> None:
    writers = {(each.name, name) for each in deployables() for name in each.writes if ".retry-" in name}
    assert {(name, topic.partition(".")[0]) for name, topic in writers} == {(stage, stage) for stage in STAGES}


def test_only_outcome_and_those_who_look_at_everything_read_dead_letters() -> None:
    dead = {dead_topic(stage) for stage in STAGES}
    assert [each.name for each in deployables() if each.reads & dead] == ["outcome", "auditor", "operator"]


def test_nothing_is_granted_by_a_pattern_nor_more_than_reading_and_writing() -> None:
    names = {spec.name for spec in all_topics()} | {name for each in deployables() for name in each.groups}
    assert {line.name for line in grants() if line.operation is not Operation.DESCRIBE} <= names


def test_another_deployment_has_logins_and_groups_of_its_own() -> None:
    ours, theirs = grants(), grants("blue", "their-helpdesk")
    assert not {line.principal for line in ours} & {line.principal for line in theirs}
    assert "blue.router" in {line.name for line in theirs}


def test_the_command_line_prints_what_is_granted() -> None:
    run = CliRunner().invoke(app, ["acls", "--commands"])
    assert run.stdout.splitlines() == list(written(grants()))
    (told,) = json.loads(CliRunner().invoke(app, ["acls", "--principal", "people", "--json"]).stdout)
    assert told == {
        "principal": "User:sluice-people",
        "kind": "topic",
        "name": "tickets.outcome",
        "operation": "Write",
    }


def test_an_unknown_login_is_refused_by_name() -> None:
    run = CliRunner().invoke(app, ["acls", "--principal", "nobody"])
    assert run.exit_code == 2
    assert "no principal 'nobody'; one of edge, edge-chat, router" in run.stderr
