"""The demo's stack: services and processes in a home of their own, prepared for a suite, and armed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from evals.dataset import Suite
from infra.embeddings.remembered import Remembered
from infra.kafka.security import Brokers
from infra.settings import Settings, load_settings
from infra.wiring import embedder_of
from processors.errors import DependencyDown
from processors.switch import Board
from schemas.control import Scope, SwitchState
from sluice.certify import certify_deployed
from sluice.demo.own import ACTOR, channel_secrets, check_ours, own_environ
from sluice.keys import ensure_keys
from sluice.reach import brokers_of, usable
from sluice.stack import Say, Services, start_processes, start_services, stop_stack
from sluice.suite import Prepared, load, prepare
from sluice.switch_paths import read_board, set_switch
from sluice.terminal import read_settings
from sluice.terminal import run as run_async

PROMISE = 0.1  # rate of bad answers that the demo's certificate bounds: what the local models prove on the shop


@dataclass(frozen=True)
class Stack:
    """A running demo."""

    settings: Settings
    services: Services
    prepared: Prepared

    @property
    def brokers(self) -> Brokers:
        """Kafka."""
        return self.services.kafka.brokers


def home_of(suite: Suite, *, use_configured: bool = False) -> Settings:
    """The settings of the demo: a home and services of its own for each suite, so that nothing of yours is touched."""
    settings = read_settings()
    os.environ |= own_environ(settings, suite, use_configured=use_configured) | channel_secrets(settings)
    return read_settings()


def check_configured(settings: Settings, suite: Suite) -> None:
    """See that configured services may be used for a demo; without any there is nothing to see.

    Raises:
        NotOurs: they are in use for something else.
        DependencyDown: one of them does not answer.
    """
    kafka, database = settings.kafka_bootstrap_servers, settings.database_url
    try:
        board = read_board(brokers_of(settings)) if kafka else Board()
        check_ours(suite, database.get_secret_value() if database else None, board)
    except psycopg.OperationalError as error:
        raise DependencyDown("Postgres", str(error).partition("\n")[0]) from None


@contextmanager
def running(settings: Settings, suite: Suite, say: Say) -> Iterator[Stack]:
    """Everything started and armed while the context lasts.

    Raises:
        KafkaUnavailable, KafkaFailed, PostgresFailed, StackFailed: a part does not come up.
        NotOurs: the services that are configured are in use for something else.
        SettingsError: a setting of the suite is wrong.
    """
    usable(settings)
    check_configured(settings, suite)
    try:
        services = start_services(settings, allow_memory=True, say=say)
        # One cache for all demos: the embedding graph is the same.
        embedder = embedder_of(settings, threads=os.cpu_count() or 1)
        prepared = run_async(_prepare(suite, settings, services, embedder, say))
        run_async(certify_deployed(suite, settings, prepared, PROMISE, say))
        os.environ |= {"SLUICE_MODELS_DIR": str(prepared.models_dir), "SLUICE_POLICY": str(prepared.policy)}
        if services.kafka.kind == "memory":
            os.environ["KAFKA_BOOTSTRAP_SERVERS"] = services.kafka.bootstrap
        ensure_keys(settings)
        start_processes(load_settings(), say)
        stack = Stack(load_settings(), services, prepared)
        run_async(_arm(stack.settings, say))
        yield stack
    finally:
        stop_stack(settings)


async def _prepare(suite: Suite, settings: Settings, services: Services, embedder: Remembered, say: Say) -> Prepared:
    prepared = await prepare(suite, settings, embedder, say)
    await load(suite, services.postgres.owner_url, embedder, say)
    return prepared


async def _arm(settings: Settings, say: Say) -> None:
    await set_switch(settings, Scope(), SwitchState.AUTO, why="the demo arms itself", actor=ACTOR)
    say("the demo armed the switch: replies are sent (a deployment of yours starts disarmed)")
