"""The errors of Sluice, by what becomes of the ticket.

SluiceError
  Retryable           later: nothing is lost, the work is tried again
    DependencyDown    an outage: the stage waits in place, nothing is acknowledged
    TryLater          a passing fault of this one ticket: a retry topic takes it
  Rejected            never: the ticket goes to a person
    Conflict          the same id came with another body
    ModelFailed       no usable answer from any model of the role
    Undeliverable     the helpdesk refuses this reply for good
Anything else is a bug: dead letter, and an alert.
"""


class SluiceError(Exception):
    """Any failure Sluice expects."""


class Retryable(SluiceError):
    """The same work may succeed later."""


class DependencyDown(Retryable):
    """A dependency does not answer anybody: Kafka, Postgres, a model server, the helpdesk."""

    def __init__(self, dependency: str, detail: str = "", *, untouched: bool = False) -> None:
        super().__init__(f"{dependency} is down{': ' + detail if detail else ''}")
        self.dependency = dependency
        self.untouched = untouched  # certain that the request never reached it, as when no connection was made


class TryLater(Retryable):
    """This ticket met a passing fault: a lock, a rate limit, a claim still leased."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after  # seconds; None leaves the delay to the retry policy


class Rejected(SluiceError):
    """The same work can never succeed: a person takes it."""


class Conflict(Rejected):
    """The same ticket id was admitted before with another body."""


class ModelFailed(Rejected):
    """A model gave no usable answer: refused, cut off, not the schema, past its deadline."""


class Undeliverable(Rejected):
    """The helpdesk refuses this reply or item for good."""
