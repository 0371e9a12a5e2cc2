"""What every event shares: frozen values, aware times, and the steps a ticket has taken."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs a time zone, for example 2026-11-20T09:30:00Z")
    return value


Aware = Annotated[datetime, AfterValidator(_aware)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Value(BaseModel):
    """A frozen value. Fields a reader does not know are ignored, so writers may be newer than readers."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Stage(StrEnum):
    """The layers of the path, in the order a ticket walks them."""

    INGRESS = "ingress"
    ROUTER = "router"
    RETRIEVAL = "retrieval"
    RESOLUTION = "resolution"
    GATE = "gate"
    OUTCOME = "outcome"
    NOTIFY = "notify"  # after the path: tells outside systems what happened


class Step(Value):
    """One stage's work on a ticket: when it began and how long it took."""

    stage: Stage
    started_at: Aware
    took_ms: float  # wall time of the stage, milliseconds


class Event(Value):
    """Anything published on a ticket topic.

    An enumeration read from a newer writer falls back to its first member (Avro's enum default), so every
    enumeration in these schemas lists its *safest* member first: a person, never a send.
    """
