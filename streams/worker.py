"""The workers: which layers there are, top to bottom, what each is given, and how a process runs them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

import uvloop
from mode.types import ServiceT
from opentelemetry.trace import NoOpTracer, Tracer
from prometheus_client import CollectorRegistry

from infra.kafka.lag import Lags
from infra.kafka.producer import Producer
from infra.kafka.security import Address
from processors.policy import Policy
from processors.ports import (
    Classifier,
    Clock,
    Conversations,
    Customers,
    GuardMemory,
    Helpdesk,
    Knowledge,
    Ledger,
    Listener,
    Model,
    Reopenings,
    Switch,
    SwitchTable,
    Verifier,
)
from processors.resolution import PromptFile
from processors.selective import Certified
from schemas.event import Stage
from schemas.ingress import Channel
from schemas.router import Tier
from streams.flight import Limits
from streams.gate import GateLimits, gate
from streams.guard import LiveGuard, OutcomeReader
from streams.health import Bounds, Health, serve_health
from streams.lag import LagReader
from streams.metrics import Metrics
from streams.notify import notify
from streams.outcome import OutcomeLimits, outcome
from streams.process import operate
from streams.resolution import resolution
from streams.retrieval import RetrievalLimits, retrieval
from streams.router import router
from streams.stage import Surroundings, build, group_of, topics_of
from streams.step import Publish, StageDefinition
from streams.switch import SwitchMirror, SwitchReader


class Parts(Protocol):
    """What the stages need of the world. Only the members of the stages that run are looked at.

    A port that two stages use appears twice where they log in to Postgres with different rights.
    """

    @property
    def clock(self) -> Clock: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def config_hash(self) -> str: ...

    # router
    @property
    def admissions(self) -> Conversations: ...  # as the role router
    @property
    def classifier(self) -> Classifier: ...
    @property
    def router_ledger(self) -> Ledger: ...  # as the role router

    # retrieval
    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def customers(self) -> Customers: ...
    @property
    def retrieval_threshold(self) -> float: ...  # 0-1
    @property
    def retrieval_limit(self) -> int: ...  # passages
    @property
    def retrieval_timeout(self) -> float: ...  # seconds, for a ticket that is handed over anyway

    # resolution
    @property
    def models(self) -> Mapping[Tier, Sequence[Model]]: ...  # in the order they are asked
    @property
    def ledger(self) -> Ledger: ...  # as the role resolution
    @property
    def prompt(self) -> PromptFile: ...
    @property
    def model_deadline(self) -> float: ...  # seconds

    # gate
    @property
    def verifier(self) -> Verifier: ...
    @property
    def gate_floor(self) -> float: ...  # 0-1
    @property
    def certified(self) -> Certified | None: ...  # the certificate in force; None: nothing is sent by itself

    # outcome
    @property
    def conversations(self) -> Conversations: ...  # as the role outcome

    @property
    def reopenings(self) -> Reopenings: ...
    @property
    def helpdesk(self) -> Helpdesk: ...
    @property
    def switch_table(self) -> SwitchTable: ...
    @property
    def claim_lease(self) -> float: ...  # seconds
    @property
    def helpdesk_deadline(self) -> float: ...  # seconds
    @property
    def outside_channels(self) -> frozenset[Channel]: ...

    # notify
    @property
    def listener(self) -> Listener: ...

    # the live guard
    @property
    def guard_memory(self) -> GuardMemory: ...
    @property
    def guard_switch(self) -> SwitchTable: ...


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker process runs."""

    bootstrap: Address  # Kafka
    switch_staleness: float = 5.0  # seconds
    limits: Limits = field(default_factory=Limits)
    limits_of: Mapping[Stage, Limits] = field(default_factory=dict)  # where a stage has its own
    slot: str | None = None  # this worker's place, for static group membership
    session_timeout: float = 15.0  # seconds until a worker that says nothing loses its partitions
    health_port: int | None = None  # where /livez, /readyz and /metrics are served; None: nowhere, 0: any free port
    health_host: str = "127.0.0.1"
    listening: Callable[[int], None] = lambda port: None  # told that port, once it is bound
    group_prefix: str = "sluice"
    tracer: Tracer = field(default_factory=NoOpTracer)
    guard: bool = False  # whether the live guard runs in this process too
    producing: Callable[[Producer], Producer] = lambda producer: producer  # done to the stages' own, as by a failpoint


LAYERS: Mapping[Stage, Callable[[Parts, Switch, Metrics], StageDefinition]] = {
    Stage.ROUTER: lambda parts, switch, metrics: router(
        conversations=parts.admissions,
        policy=parts.policy,
        classifier=parts.classifier,
        ledger=parts.router_ledger,
        switch=switch,
    ),
    Stage.RETRIEVAL: lambda parts, switch, metrics: retrieval(
        knowledge=parts.knowledge,
        customers=parts.customers,
        policy=parts.policy,
        clock=parts.clock,
        limits=RetrievalLimits(parts.retrieval_threshold, parts.retrieval_limit, parts.retrieval_timeout),
    ),
    Stage.RESOLUTION: lambda parts, switch, metrics: resolution(
        models=parts.models,
        ledger=parts.ledger,
        switch=switch,
        policy=parts.policy,
        clock=parts.clock,
        prompt=parts.prompt,
        deadline=parts.model_deadline,
    ),
    Stage.GATE: lambda parts, switch, metrics: gate(
        verifier=parts.verifier,
        switch=switch,
        policy=parts.policy,
        clock=parts.clock,
        limits=GateLimits(parts.retrieval_threshold, parts.gate_floor, parts.config_hash, parts.certified),
    ),
    Stage.OUTCOME: lambda parts, switch, metrics: outcome(
        conversations=parts.conversations,
        reopenings=parts.reopenings,
        helpdesk=parts.helpdesk,
        switch=switch,
        policy=parts.policy,
        clock=parts.clock,
        limits=OutcomeLimits(parts.claim_lease, parts.helpdesk_deadline, parts.outside_channels),
        metrics=metrics,
    ),
    Stage.NOTIFY: lambda parts, switch, metrics: notify(listener=parts.listener, deadline=parts.helpdesk_deadline),
}


def run(
    stages: Sequence[Stage], options: WorkerOptions, open_parts: Callable[[], AbstractAsyncContextManager[Parts]]
) -> int:
    """Run stages until SIGTERM or SIGINT, which drain them; the exit code, which is not 0 after a crash.

    `open_parts` is entered on the event loop, before anything starts, and left when everything has stopped.

    Raises:
        DependencyDown: Kafka does not answer at the start.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(stages, options, open_parts))


async def _run(
    stages: Sequence[Stage], options: WorkerOptions, open_parts: Callable[[], AbstractAsyncContextManager[Parts]]
) -> int:
    metrics = Metrics(CollectorRegistry())
    async with open_parts() as parts, Producer(options.bootstrap) as producer:
        services, switch = _switch(stages, options, parts, metrics)
        publish = options.producing(producer).publish
        if options.guard:
            services.append(_guard(options, parts, publish, metrics))
        around = Surroundings(
            bootstrap=options.bootstrap,
            publish=publish,
            clock=parts.clock,
            metrics=metrics,
            limits=options.limits,
            group_prefix=options.group_prefix,
            slot=options.slot,
            session_timeout=options.session_timeout,
            tracer=options.tracer,
        )
        definitions = [layer(parts, switch, metrics) for stage, layer in LAYERS.items() if stage in stages]
        apps = [build(found, replace(around, limits=_limits(found.stage, options))) for found in definitions]
        bounds = Bounds(session=options.session_timeout, switch=options.switch_staleness)
        health = Health(parts.clock, metrics, members=apps, switch_age=switch.age, bounds=bounds)
        async with health.watching():
            with ExitStack() as stack:
                if options.health_port is not None:
                    port = stack.enter_context(serve_health(options.health_host, options.health_port, health))
                    options.listening(port)
                return await operate([*services, _lag(definitions, options, parts.clock, metrics)], apps)


def _guard(options: WorkerOptions, parts: Parts, publish: Publish, metrics: Metrics) -> LiveGuard:
    return LiveGuard(
        parts.guard_memory,
        parts.guard_switch,
        OutcomeReader(options.bootstrap),
        publish,
        policy=parts.policy.guard,
        clock=parts.clock,
        metrics=metrics,
    )


def _limits(stage: Stage, options: WorkerOptions) -> Limits:
    return options.limits_of.get(stage, options.limits)


def _lag(definitions: Sequence[StageDefinition], options: WorkerOptions, clock: Clock, metrics: Metrics) -> LagReader:
    groups = {
        definition.stage.value: (group_of(definition.stage, options.group_prefix), topics_of(definition))
        for definition in definitions
    }
    return LagReader(Lags(options.bootstrap).on, groups, clock, metrics)


def _switch(
    stages: Sequence[Stage], options: WorkerOptions, parts: Parts, metrics: Metrics
) -> tuple[list[ServiceT], SwitchReader]:
    """One reader for all stages of the process; where outcome runs, it mirrors what it reads."""
    if Stage.OUTCOME not in stages:
        reader = SwitchReader(options.bootstrap, parts.clock, metrics, staleness=options.switch_staleness)
        return [reader], reader
    mirror = SwitchMirror(parts.switch_table)
    reader = SwitchReader(options.bootstrap, parts.clock, metrics, staleness=options.switch_staleness, seen=mirror.see)
    return [mirror, reader], reader
