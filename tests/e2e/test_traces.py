"""One ticket is one trace across the processes, and nothing its customer wrote is in it."""

from typing import Any

import httpx

from tests.e2e.conftest import PORTS, Stack, eventually

PATH = ["ingress", "router", "retrieval", "resolution", "gate", "outcome"]
METRICS = (PORTS["SLUICE_WORKER_PORT"], PORTS["SLUICE_EDGE_METRICS_PORT"])
CANARY = "canary-55e1"
CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


def trace_of(receiver: httpx.Client, ticket: str) -> list[dict[str, Any]]:
    """The spans of a ticket's trace in the order of the path, once all are there."""
    spans: list[dict[str, Any]] = receiver.get("/spans").json()
    ours = {span["trace"] for span in spans if span["attributes"].get("sluice.ticket.id") == ticket}
    found = [span for span in spans if span["trace"] in ours]
    found = [span for span in found if span["name"] in PATH]
    return sorted(found, key=lambda span: PATH.index(span["name"])) if len(found) >= len(PATH) else []


def test_a_ticket_is_one_trace_from_the_caller_to_the_outcome(stack: Stack, receiver: httpx.Client) -> None:
    body = {"body": f"How long does standard delivery take? {CANARY}"}
    ticket = stack.client.post("/v1/tickets", json=body, headers={"traceparent": CALLER}).json()["ticket_id"]
    spans = eventually(lambda: trace_of(receiver, ticket))
    assert [span["name"] for span in spans] == PATH
    assert {span["trace"] for span in spans} == {"a" * 32}
    assert [span["parent"] for span in spans] == ["b" * 16, *(span["span"] for span in spans[:-1])]
    assert [span["process"] for span in spans] == ["edge", *["worker"] * 5]
    told = {key: value for span in spans for key, value in span["attributes"].items()}
    assert told["sluice.route.intent"] == "delivery_time"
    assert told["sluice.retrieval.passages"] > 0
    assert told["gen_ai.request.model"] == "extractive"
    assert told["sluice.outcome"] in ("sent", "suggested")


def test_no_span_metric_or_log_line_holds_what_a_customer_wrote(stack: Stack, receiver: httpx.Client) -> None:
    mail = f"My name is {CANARY}, my address {CANARY}@example.com. I want a refund of $900, says {CANARY}."
    ticket = str(stack.send(mail, subject=CANARY, sender=f"{CANARY}@example.com", conversation=CANARY))
    eventually(lambda: trace_of(receiver, ticket))
    metrics = [httpx.get(f"http://127.0.0.1:{port}/metrics").text for port in METRICS]
    assert all("sluice_" in text for text in metrics)
    logs = [path.read_text(errors="replace") for path in stack.logs()]
    assert logs
    for told in (receiver.get("/spans").text, *metrics, *logs):
        assert CANARY not in told


def test_the_lag_of_every_stage_is_told_by_the_broker(stack: Stack) -> None:
    told = httpx.get(f"http://127.0.0.1:{METRICS[0]}/metrics").text
    for stage in PATH[1:]:
        assert f'sluice_lag{{stage="{stage}"}}' in told


def acts_of(receiver: httpx.Client, ticket: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = receiver.get("/spans").json()
    ours = [span for span in spans if span["attributes"].get("sluice.ticket.id") == ticket]
    return [span for span in ours if span["name"].startswith("people.")]


def test_an_approved_suggestion_is_in_the_ticket_s_trace(stack: Stack, receiver: httpx.Client, cautious: str) -> None:
    ticket = str(stack.send("How much does express delivery cost?", customer_id=cautious))
    spans = eventually(lambda: trace_of(receiver, ticket))
    _, header = stack.staff
    item = stack.client.get("/v1/queue", params={"ticket": ticket}, headers=header).json()[0]["item_id"]
    stack.command("queue", "take", item[:12], "--as", stack.staff[0])
    assert stack.client.post(f"/v1/queue/{item}/approve", headers=header).status_code == httpx.codes.OK
    acts = eventually(lambda: len(found := acts_of(receiver, ticket)) == 2 and found)
    assert {(act["name"], act["process"]) for act in acts} == {
        ("people.taken_over", "queue"),
        ("people.approved", "edge"),
    }
    assert {(act["trace"], act["parent"]) for act in acts} == {(spans[-1]["trace"], spans[-1]["span"])}
    assert "approved ◆ by a person" in stack.command("trace", ticket)


def test_no_span_of_an_act_holds_what_a_person_wrote_or_their_name(stack: Stack, receiver: httpx.Client) -> None:
    ticket = str(stack.send("I want a refund of $900.", conversation=f"{CANARY}-act"))
    person, header = stack.staff
    listed = eventually(lambda: stack.client.get("/v1/queue", params={"ticket": ticket}, headers=header).json())
    item = f"/v1/queue/{listed[0]['item_id']}"
    assert stack.client.post(f"{item}/take", headers=header).status_code == httpx.codes.OK
    told = {"reason": "other", "note": f"{CANARY} was rude"}
    assert stack.client.post(f"{item}/reject", headers=header, json=told).status_code == httpx.codes.OK
    acts = eventually(lambda: len(found := acts_of(receiver, ticket)) == 2 and found)
    assert CANARY not in str(acts)
    assert person not in [value for act in acts for value in act["attributes"].values()]
