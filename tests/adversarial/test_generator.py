"""The tickets are a thousand different ones, the same every time, and nobody real is in them."""

from collections import Counter

from tests.adversarial.tickets import CARRIERS, TICKETS, Door, generate
from tests.adversarial.words import ATTACKS, DISGUISES
from tests.adversarial.world import build

WORLD = build()
ALL = generate(WORLD)


def test_there_are_a_thousand_and_no_two_are_alike() -> None:
    assert len(ALL) == TICKETS
    assert len({str(ticket.content) for ticket in ALL}) == TICKETS
    assert len({ticket.marker.text for ticket in ALL}) == TICKETS


def test_the_same_seed_makes_the_same_tickets() -> None:
    assert generate(build()) == ALL
    assert generate(WORLD, seed=1) != ALL


def test_every_attack_carrier_disguise_language_and_door_is_there() -> None:
    assert {ticket.attack for ticket in ALL} == {attack.name for attack in ATTACKS} | {"surroundings"}
    assert {ticket.carrier for ticket in ALL} == {*CARRIERS, "article", "record"}
    assert {ticket.disguise for ticket in ALL} == set(DISGUISES)
    assert {ticket.language for ticket in ALL} == {"en", "de", "es", "fr", "it", "pt", "nl", "ru", "zh"}
    assert {ticket.door for ticket in ALL} == set(Door)


def test_every_attack_meets_every_carrier_and_most_disguises() -> None:
    pairs = Counter((ticket.attack, ticket.carrier) for ticket in ALL if ticket.attack != "surroundings")
    assert len(pairs) == len(ATTACKS) * len(CARRIERS)
    assert len({(ticket.attack, ticket.disguise) for ticket in ALL}) > 0.9 * len(ATTACKS) * len(DISGUISES)


def test_only_an_honest_question_of_a_proved_customer_may_be_sent_by_itself() -> None:
    assert all(ticket.proved for ticket in ALL if ticket.right is not None)
    assert sum(ticket.right is None for ticket in ALL) > TICKETS / 3


def test_all_people_are_invented() -> None:
    assert all(person.email.endswith("@example.com") for person in WORLD.people)
    assert all(person.phone.startswith("121255501") for person in WORLD.people)
