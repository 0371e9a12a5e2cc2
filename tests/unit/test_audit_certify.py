"""Audits prove a tighter promise: on a sample of what the certificate let out, each verdict in one test alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from processors.certificate import Certificate, Certification
from processors.ports import AuditorKind, Label, Verdict
from processors.selective import Certified
from sluice.audit_certify import tried
from tests.unit.test_outcome import APPROVED

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DECISION = APPROVED.decision.model_copy(update={"p_good": 0.9, "policy_hash": "p", "config_hash": "c", "verifier": "v"})
OLD = Certificate(
    risk=0.1,
    delta=0.05,
    threshold=0.5,
    intents=("gift_card",),
    n=100,
    accepted=60,
    bad=1,
    bound=0.08,
    frozen="f",
    issued_at=NOON,
)


@dataclass
class Room:
    """Verdicts, and how each answer was decided."""

    found: list[Label] = field(default_factory=list)
    decision: Any = DECISION

    async def labels(self, after: int, limit: int) -> Sequence[Label]:
        return [label for label in self.found if label.label_id > after][:limit]

    async def audited(self, ticket: UUID, revision: int) -> Any:
        return SimpleNamespace(decision=self.decision)

    def add(self, good: int, bad: int = 0, **changes: Any) -> None:
        for verdict in (*[Verdict.GOOD] * good, *[Verdict.BAD] * bad):
            number = len(self.found) + 1
            later = NOON + timedelta(hours=1)
            label = Label(
                number, UUID(int=number), 1, "gift_card", "eve", AuditorKind.PERSON, verdict, "", True, later, later
            )
            self.found.append(replace(label, **changes))


def adapters(folder: Path, room: Room) -> Any:
    certification = Certification(certificates=(OLD,), sections=frozenset({"s"}), made_of={"suite": "shop"})
    return SimpleNamespace(
        labels=room,
        settings=SimpleNamespace(artefacts=folder, certificate=None),
        certified=Certified(None, certification, "f"),
        policy=SimpleNamespace(hash="p"),
        config_hash="c",
        verifier=SimpleNamespace(name="v"),
    )


def written(folder: Path) -> Certificate | None:
    path = folder / "certificate.json"
    return Certification.parse(path.read_text()).certificates[0] if path.is_file() else None


async def test_enough_good_verdicts_write_a_tighter_certificate(tmp_path: Path) -> None:
    room = Room()
    room.add(142)
    assert (await tried(adapters(tmp_path, room), OLD, 0.021)).finding.certified
    new = written(tmp_path)
    assert new is not None
    assert (new.risk, new.threshold, new.intents, new.frozen) == (0.021, OLD.threshold, OLD.intents, OLD.frozen)
    assert (new.accepted, new.bad) == (142, 0)


async def test_too_few_verdicts_are_not_spent(tmp_path: Path) -> None:
    room = Room()
    room.add(141)
    assert not (await tried(adapters(tmp_path, room), OLD, 0.021)).enough
    room.add(1)
    assert (await tried(adapters(tmp_path, room), OLD, 0.021)).finding.certified


async def test_a_test_that_failed_is_not_repeated_on_the_same_verdicts(tmp_path: Path) -> None:
    room = Room()
    room.add(150, bad=1)
    assert not (await tried(adapters(tmp_path, room), OLD, 0.021)).finding.certified
    room.add(80)
    again = await tried(adapters(tmp_path, room), OLD, 0.021)
    assert (again.finding.n, again.enough, written(tmp_path)) == (80, False, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"drawn": False},
        {"kind": AuditorKind.MACHINE},
        {"answered_at": NOON - timedelta(hours=1)},
        {"intent": "other"},
    ],
)
async def test_what_is_no_person_s_sample_of_what_it_let_out_proves_nothing(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    room = Room()
    room.add(200, **changes)
    assert (await tried(adapters(tmp_path, room), OLD, 0.021)).finding.n == 0


@pytest.mark.parametrize("name", ["policy_hash", "config_hash", "verifier"])
async def test_answers_that_something_else_decided_prove_nothing(tmp_path: Path, name: str) -> None:
    room = Room(decision=DECISION.model_copy(update={name: "another"}))
    room.add(200)
    assert (await tried(adapters(tmp_path, room), OLD, 0.021)).finding.n == 0


async def test_who_was_unsure_did_not_find_it_good(tmp_path: Path) -> None:
    room = Room()
    room.add(150)
    room.add(5, verdict=Verdict.UNSURE)
    assert not (await tried(adapters(tmp_path, room), OLD, 0.021)).finding.certified
