"""Deliver approved replies by yourself: read `tickets.outcome`, claim each reply, send it, say so.

    python docs/examples/deliver_replies.py 127.0.0.1:9092 http://127.0.0.1:8700 KEY --once

It needs SLUICE_OUTSIDE_CHANNELS at the workers and the edge, and a key of scope service. "Sending" is a printed line
here: put your helpdesk's call there, with the claim's `key` as its idempotency key. With `--people email` it sends what
people answered on that channel too. See docs/integrators.md.
"""

import argparse
import sys
from collections.abc import Collection, Iterator
from uuid import UUID

import httpx
from confluent_kafka import Consumer, KafkaException

from schemas.codec import Undecodable, decode
from schemas.outcome import Outcome, TicketSettled

TOPIC = "tickets.outcome"
GROUP = "my-helpdesk"
LEASE = 30.0  # seconds; longer than one delivery can take
PEOPLES = (Outcome.APPROVED, Outcome.EDITED)


def waiting(consumer: Consumer, people: Collection[str]) -> Iterator[TicketSettled]:
    """Approved replies that wait to be claimed, and people's answers on the channels `people`.

    The offset is committed when the next one is asked for: the same one may come twice.
    """
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if (error := message.error()) is not None:
            raise KafkaException(error)
        try:
            settled = decode(TicketSettled, message.value())
        except Undecodable:
            continue
        left = settled.decision is not None and settled.decision.disposition == "auto"
        # With a reason, a person only noted what had been sent before.
        answered = settled.outcome in PEOPLES and settled.reason is None and settled.channel in people
        if answered or (settled.outcome is Outcome.SUGGESTED and left):
            yield settled
        consumer.commit(message)


def deliver(edge: httpx.Client, ticket: UUID) -> None:
    """Claim, send, settle. A claim that is refused is somebody else's, or a person's: nothing to do."""
    answer = edge.post(f"/v1/claims/{ticket}", json={"lease": LEASE})
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
        print(f"{ticket}: not ours to send: {answer.json()['detail']}")  # noqa: T201 - the result
        return
    claim = answer.raise_for_status().json()
    try:
        reference = send(claim["to"], claim["text"], claim["key"])
    except OSError:  # certainly not sent: free for others. Where you do not know, do not settle.
        edge.post(f"/v1/claims/{ticket}/settle", json={"sent": False}).raise_for_status()
        return
    settled = {"sent": True, "delivery": reference}
    edge.post(f"/v1/claims/{ticket}/settle", json=settled).raise_for_status()


def deliver_persons(settled: TicketSettled) -> None:
    """Send what a person answered: it is claimed already, and there is nothing to settle."""
    send(None, settled.text or "", f"{settled.ticket_id}:{settled.revision}")


def send(to: str | None, text: str, key: str) -> str:
    """Your helpdesk's call; its own reference of the message."""
    print(f"{key} to {to or 'the customer'}: {text}")  # noqa: T201 - the result
    return f"sent-{key}"


def main() -> None:
    """Read the command line and deliver until stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap", help="brokers as host:port,host:port")
    parser.add_argument("edge", help="address of the edge")
    parser.add_argument("key", help="an API key of scope service")
    parser.add_argument("--once", action="store_true", help="end after the first reply")
    people = "deliver people's answers on this channel too (several: say it again); one of SLUICE_OUTSIDE_CHANNELS"
    parser.add_argument("--people", action="append", default=[], metavar="CHANNEL", help=people)
    given = parser.parse_args()
    consumer = Consumer(
        {
            "bootstrap.servers": given.bootstrap,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([TOPIC])
    try:
        with httpx.Client(base_url=given.edge, headers={"Authorization": f"Bearer {given.key}"}) as edge:
            for settled in waiting(consumer, given.people):
                if settled.outcome is Outcome.SUGGESTED:
                    deliver(edge, settled.ticket_id)
                else:
                    deliver_persons(settled)
                if given.once:
                    break
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
