"""Questions and traps made of a CRM: halves apart, no secrets among the kinds, and traps that nothing may answer."""

from pathlib import Path
from typing import Any

import pytest

from evals.dataset import Suite
from evals.kinds import INTENT, kinds_of
from evals.measures import Beside, sending
from evals.prediction import Walked, row_of
from evals.records import TRAP, asked, questions, traps
from evals.train.policy import policy_for
from infra.crm import customers_of, rendered
from processors.policy import Policy, PolicyError
from processors.templates import fill
from schemas.retrieval import Fact
from schemas.router import Band, Route, Tier

BASE = (Path(__file__).parents[2] / "infra" / "policy.toml").read_text()


def customer(n: int) -> dict[str, Any]:
    own = {"user_id": f"c{n}", "holder_name": "Mia Chen", "cvv": "123", "iban": "DE00"}
    tanks = [
        {"tank_id": f"tk_{n}{place}", "size": size, "status": "FULL", **own} for place, size in enumerate("ab" * 2)
    ]
    meters = [{"meter_id": f"mt_{n}", "maker": f"Maker{chr(97 + n)} Works", "last_reading": 10.5 + n, "status": "OK"}]
    return {"customer_id": f"c{n}", "name": f"Ann Other{chr(97 + n)}", "tanks": tanks, "meters": meters}


CUSTOMERS = [customer(n) for n in range(20)]


def test_kinds_are_proposed_without_what_is_private() -> None:
    kinds = kinds_of(CUSTOMERS)
    assert kinds["tank"].tells == ("tank_id", "size", "status")
    assert (kinds["meter"].name, kinds["meter"].known_by) == ("meter", ("maker",))


def test_earlier_tickets_are_no_records_to_tell_of() -> None:
    tickets = [{"ticket_id": "t1", "topic": "rent", "status": "open", "opened_on": "2026-01-01"}]
    assert kinds_of([{"customer_id": "c", "tickets": tickets}]) == {}


def test_halves_share_no_customer_and_no_words() -> None:
    halves = [(*questions(CUSTOMERS, seen=seen), *traps(CUSTOMERS, seen=seen)) for seen in (True, False)]
    trained, judged = ({ticket.customer_id for ticket in half} for half in halves)
    assert trained
    assert judged
    assert not trained & judged
    assert set(asked(CUSTOMERS)) == set(halves[1])


def test_traps_stay_unanswered_and_questions_are_answered_right() -> None:
    kinds, owners = kinds_of(CUSTOMERS), {customer.customer_id: customer for customer in customers_of(CUSTOMERS)}
    filled = {}
    for ticket in asked(CUSTOMERS):
        records = owners[ticket.customer_id or ""].records
        facts = [Fact(record=f"crm:{r.record}", kind=r.kind, fields=rendered(r.fields)) for r in records]
        filled[ticket.id] = fill(ticket.text, INTENT, facts, kinds)
    assert not any(draft for name, draft in filled.items() if name.startswith(TRAP))
    right = [ticket for ticket in asked(CUSTOMERS) if ticket.expected_facts]
    assert all((draft := filled[t.id]) and t.expected_facts[0] in draft.text for t in right)


def test_the_sorts_of_traps() -> None:
    sorts = {ticket.id.removeprefix(TRAP).split("-")[0] for ticket in traps(CUSTOMERS, seen=False)}
    assert sorts == {"act", "secret", "rule", "person", "ambiguous", "other", "unlike"}
    assert all(ticket.must_not_auto for ticket in traps(CUSTOMERS, seen=False))


def test_a_proposed_policy_tells_of_them_only_where_they_answer(tmp_path: Path) -> None:
    tickets = questions(CUSTOMERS, seen=True)
    suite = Suite("s", tmp_path, (), tuple(CUSTOMERS), {"train": tickets})
    policy = Policy.parse(policy_for(suite, {}, BASE))
    assert policy.records == kinds_of(CUSTOMERS)
    assert policy.facts == {INTENT: ("meter", "tank")}
    assert policy.intents[INTENT] is Band.AUTO


def test_a_kind_that_no_topic_may_see_is_a_mistake() -> None:
    table = '[records.tank]\nname = "tank"\nintent = "own_record"\ntells = ["tank_id", "status"]\n'
    with pytest.raises(PolicyError, match=r"records\.tank: facts\.own_record does not list it"):
        Policy.parse(f"{BASE}\n{table}")


def test_traps_do_not_count_as_questions() -> None:
    route = Route(intent=INTENT, band=Band.SUGGEST, tier=Tier.COMMODITY, confidence=1.0)
    pairs = [(row_of(ticket.id, Walked(route), 1.0), ticket) for ticket in asked(CUSTOMERS)]
    found = {measure.name: measure.n for measure in sending(pairs, Beside())}
    assert found["records_answered"] == len(questions(CUSTOMERS, seen=False))
    assert found["must_not_auto_sent"] == len(traps(CUSTOMERS, seen=False))
