"""How far each stage is behind, as the broker has it: what a scaler and an alert go by."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaException
from mode import Service

from infra.kafka.lag import Lag
from processors.ports import Clock
from streams.metrics import Metrics

EVERY = 10.0  # seconds

logger = logging.getLogger(__name__)


class LagReader(Service):
    """Asks for the lag of whole groups, so every worker of a stage tells the same number."""

    mundane_level = "debug"

    def __init__(
        self,
        ask: Callable[[str, Sequence[str]], Sequence[Lag]],  # group and topics; blocks
        groups: Mapping[str, tuple[str, Sequence[str]]],  # stage to its group and topics
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._ask, self._groups, self._clock, self._metrics = ask, groups, clock, metrics
        for stage in groups:
            self._told(stage)
        super().__init__()

    @Service.task
    async def _read(self) -> None:
        while not self.should_stop:
            for stage, (group, topics) in self._groups.items():
                await self.read(stage, group, topics)
            await self.sleep(EVERY)

    async def read(self, stage: str, group: str, topics: Sequence[str]) -> None:
        """Read one stage's lag; where the broker does not tell it, the last one stands and grows old."""
        try:
            lags = await asyncio.to_thread(self._ask, group, topics)
        except (KafkaException, TimeoutError) as error:
            logger.debug("the lag of %s is not told: %s", stage, type(error).__name__)
            return
        self._metrics.lag.labels(stage).set(sum(lag.messages for lag in lags))
        self._told(stage)

    def _told(self, stage: str) -> None:
        at = self._clock.monotonic()
        self._metrics.lag_age.labels(stage).set_function(lambda: self._clock.monotonic() - at)
