"""Every metric of the workers: its name, its kind, what it means."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The catalogue, kept in the registry it is given. `stage` is one of the layers' names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"sluice_{name}", meaning, labels, registry=registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"sluice_{name}", meaning, labels, registry=registry)

        # Tickets
        self.handled = counter("handled", "Tickets brought to their next topic.", "stage")
        self.failed = counter("failed", "Tries that ended in an error, by its type.", "stage", "reason")
        self.retried = counter("retried", "Tickets put on a retry topic.", "stage", "topic")
        self.dead = counter("dead", "Tickets put on the dead topic, by the type of the error.", "stage", "reason")
        self.seconds = Histogram(
            "sluice_stage_seconds",
            "Time of one ticket in a stage, from the first try to the acknowledged result, waits included.",
            ("stage",),
            buckets=SECONDS,
            registry=registry,
        )

        # What was decided
        self.routed = counter("routed", "Tickets routed, by intent and band.", "intent", "band")
        self.decided = counter("decided", "Decisions of the gate, and diversions, by rule.", "disposition", "rule")
        self.settled = counter("settled", "Outcomes, later acts included, by channel.", "outcome", "channel")
        self.ended_before = Counter(
            "sluice_ended_before", "Decisions on a revision that an earlier one had ended.", registry=registry
        )
        self.acknowledgements = counter(
            "acknowledgements", "What came of telling a customer that a person will answer.", "result"
        )
        self.tokens = counter("tokens", "Tokens of drafts, by model and direction.", "model", "direction")
        self.cost = counter("cost_usd", "What drafts cost, by model, in US dollars.", "model")
        self.end_to_end = Histogram(
            "sluice_end_to_end_seconds",
            "Time from the customer's message to an outcome.",
            ("outcome",),
            buckets=(*SECONDS, 300, 900, 3600),
            registry=registry,
        )

        # Work in flight
        self.in_flight = gauge("in_flight", "Tickets being worked on now.", "stage")
        self.window = gauge("window", "Tickets read and not yet committable, the waiting ones included.", "stage")
        self.oldest = gauge("oldest_unacked_seconds", "Time since the oldest uncommitted ticket was read.", "stage")

        self.lag = gauge("lag", "Messages the broker has for a stage and its group has not committed.", "stage")
        self.lag_age = gauge("lag_age_seconds", "Time since the broker last told a stage's lag.", "stage")

        # Partitions and dependencies
        self.drains = counter("drains", "Rebalances and stops that ended the work in flight.", "stage")
        self.cancelled = counter("cancelled", "Tickets cut off by a drain; another worker takes them.", "stage")
        self.gaps = counter("gaps", "Gaps in the offsets that held no records (transaction markers).", "stage")
        self.expired = counter("expired", "Offsets that retention removed before they were read: lost.", "stage")
        self.waits = counter("dependency_waits", "Pauses before a dependency is asked again.", "stage", "dependency")
        self.outages = gauge("dependencies_down", "Dependencies the stage waits for now.", "stage")

        # The edge
        self.accepted = counter("accepted", "Tickets the edge took and Kafka acknowledged, by channel.", "channel")
        self.refused = counter("refused", "Requests the edge answered with a problem, by status.", "status")
        self.signatures_refused = counter(
            "signatures_refused", "Requests refused as forged, unsigned or stale, by channel.", "channel", "reason"
        )
        self.webhook_events = counter(
            "webhook_events", "What a provider's webhook told beside new messages, by channel.", "channel", "kind"
        )
        self.publish_seconds = Histogram(
            "sluice_publish_seconds", "Time until Kafka acknowledged a ticket.", buckets=SECONDS, registry=registry
        )
        self.outcomes_known = gauge("outcomes_known", "Tickets the edge can tell the state of.")
        self.outcomes_unreadable = counter("outcomes_unreadable", "Records of tickets.outcome nobody can read.")
        self.chat_streams = gauge("chat_streams", "Chat streams open now.")
        self.chat_cut = counter("chat_cut", "Chat streams cut off because their reader was too slow.")

        # The switch
        self.switch_epoch = gauge("switch_epoch", "Offset of the newest switch record read, -1 before the first.")
        self.switch_seen_at = gauge(
            "switch_seen_at_seconds", "When the newest switch record was read, in Unix time; 0 before the first."
        )
        self.switch_age = gauge("switch_age_seconds", "Time since the switch was last known to be up to date.")
        self.switch_ignored = counter("switch_ignored", "Switch records that were ignored, such as a blind arming.")
        self.switch_unreadable = counter("switch_unreadable", "Switch records not understood: they mean everything.")

        # The live guard
        self.guard_e_value = gauge("guard_e_value", "Evidence against the answers of a scope.", "detector", "scope")
        self.guard_feedbacks = gauge(
            "guard_feedbacks", "Answers that were judged since the start.", "detector", "scope"
        )
        self.guard_bad = gauge("guard_bad", "Those of them that were bad.", "detector", "scope")
        self.guard_alarms = counter("guard_alarms", "Changes of the alarm of a scope.", "detector", "scope", "alarm")
        self.guard_stops = counter("guard_stops", "Scopes the guard has stopped.", "detector", "scope")
        self.guard_looked_at = gauge("guard_looked_at_seconds", "When the guard last read all there was, in Unix time.")

    def follow(
        self, stage: str, in_flight: Callable[[], int], window: Callable[[], int], oldest: Callable[[], float]
    ) -> None:
        """Let the gauges of a stage read their values from its bookkeeping."""
        self.in_flight.labels(stage).set_function(in_flight)
        self.window.labels(stage).set_function(window)
        self.oldest.labels(stage).set_function(oldest)
