"""The demo's stack: services and processes in a home of their own, prepared for a suite, and armed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from evals.dataset import Suite
from infra.embeddings.remembered import Remembered
from infra.kafka.security import Brokers
from infra.settings import Settings, load_settings
from infra.wiring import embedder_of
from schemas.control import Scope, SwitchState
from sluice.stack import Say, Services, ensure_key, start_processes, start_services, stop_stack
from sluice.suite import SHOP, Prepared, load, prepare, settings_of
from sluice.switch import set_switch
from sluice.terminal import read_settings
from sluice.terminal import run as run_async


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


def home_of(suite: Suite) -> Settings:
    """The settings of the demo: a home of its own for each suite, so that nothing of yours is touched."""
    home = read_settings().home / "demo"
    os.environ["SLUICE_HOME"] = str(home if suite.name == SHOP else home / suite.name)
    os.environ |= settings_of(suite)
    return read_settings()


@contextmanager
def running(settings: Settings, suite: Suite, say: Say) -> Iterator[Stack]:
    """Everything started and armed while the context lasts.

    Raises:
        KafkaUnavailable, KafkaFailed, PostgresFailed, StackFailed: a part does not come up.
        SettingsError: a setting of the suite is wrong.
    """
    try:
        services = start_services(settings, allow_memory=True, say=say)
        # One cache for all demos: the embedding graph is the same.
        embedder = embedder_of(settings, threads=os.cpu_count() or 1)
        prepared = run_async(_prepare(suite, settings, services, embedder, say))
        os.environ |= {"SLUICE_MODELS_DIR": str(prepared.models_dir), "SLUICE_POLICY": str(prepared.policy)}
        if services.kafka.kind == "memory":
            os.environ["KAFKA_BOOTSTRAP_SERVERS"] = services.kafka.bootstrap
        ensure_key(settings)
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
    await set_switch(settings, Scope(), SwitchState.AUTO, why="the demo arms itself", actor="sluice demo")
    say("the demo armed the switch: replies are sent (a deployment of yours starts disarmed)")
