"""`sluice certify`: prove a rate of bad answers on labels that tuned nothing, and write the certificate."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.certify import Certifying, Promise, Proof, Validity, certify, every_draft, judged, part, validity
from evals.dataset import CERTIFY, TUNE, LabelledTicket, Suite, SuiteError, halves
from evals.prediction import Prediction
from evals.resume import Manifest, OtherRun, Rows
from evals.train.answers import sections_of
from evals.train.selective import Judged
from infra.certificate import CERTIFICATE, SCORE
from infra.postgres.local import PostgresFailed
from infra.settings import Settings
from infra.wiring import POLICY, Adapters
from processors.certificate import FEW, Certification, Finding, Plan, fewest, fingerprint, issue
from sluice.certificate import state_of
from sluice.eval import Order, commit, manifest_of, opened, predict
from sluice.reach import usable
from sluice.suite import DATASETS, Prepared, Say, open_suite, with_suite
from sluice.terminal import DOWN, USAGE, WRONG, AsJson, console, fail, print_json, read_settings, stderr
from sluice.terminal import run as run_async

RISK, DELTA = 0.021, 0.05
MOST_SPLITS = 10_000


@dataclass(frozen=True)
class Asked:
    """What is to be certified."""

    suite: Suite
    tune: tuple[LabelledTicket, ...]
    certify: tuple[LabelledTicket, ...]
    splits: str  # both by name
    promises: tuple[Promise, ...]
    delta: float
    days: int | None  # until the certificate ends; None: never
    deployed: Prepared | None  # trained parts to certify; None: those that an evaluation of the suite trains


def certify_suite(
    suite: Annotated[str, typer.Argument(help="A suite folder, or `shop`.")],
    risk: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Rate of bad answers to promise.")] = RISK,
    delta: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Chance that a promise is broken.")] = DELTA,
    tune: Annotated[
        str | None,
        typer.Option(help="Split that the score is learned on. Default: `tune`, else part of what is held out."),
    ] = None,
    certify_on: Annotated[
        str | None,
        typer.Option("--certify", help="Split that certifies, used once. Default: `certify`, else the rest."),
    ] = None,
    intent: Annotated[
        list[str] | None, typer.Option(help="A promise of its own for an intent, as NAME=RISK. May be given again.")
    ] = None,
    splits: Annotated[
        int,
        typer.Option(min=0, max=MOST_SPLITS, help="Instead: part both splits anew so often, count broken promises."),
    ] = 0,
    days: Annotated[int | None, typer.Option(min=1, help="Days that the certificate is valid.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Trained parts that are deployed. Default: those that `sluice eval` trains.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run every ticket again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Learn P(good) on one split, prove the promised rate on another, and write the certificate beside the verifier.

    Exit code 1 where a promise cannot be proved: what it covers is then left to people, and an older certificate is
    removed. It covers neither wrong labels, nor other kinds of tickets than those labelled, nor adversaries. Whatever
    changes afterwards (models, policy, prompt, trained parts, a section cited) voids it.

    Examples:

      sluice certify shop --risk 0.021 --delta 0.05 --tune tune --certify certify

      sluice certify shop --intent refund_status=0.01 --json

      sluice certify ../shared/evaldata/mtrag --risk 0.05 --splits 200
    """
    settings = read_settings()
    usable(settings)
    named = _open(suite, tune, certify_on)
    deployed = Prepared(models, settings.policy or POLICY, f"what lies in {models}") if models else None
    asked = Asked(*named, promises=_promises(risk, intent or []), delta=delta, days=days, deployed=deployed)
    try:
        ran = run_async(judge(asked, settings, fresh=fresh))
        if splits:
            _show_validity(asked, _validity(asked, ran, splits), as_json)
            return
        found = conclude(asked, ran)
    except PostgresFailed as error:
        fail(str(error), DOWN)
    except (OtherRun, ValueError) as error:
        fail(str(error), USAGE)
    if as_json:
        print_json(found.figures)
    else:
        _show(found)
    raise typer.Exit(0 if found.certifying.certified else WRONG)


# -- what is asked


def _open(
    name: str, tune: str | None, certify_on: str | None
) -> tuple[Suite, tuple[LabelledTicket, ...], tuple[LabelledTicket, ...], str]:
    """The suite with its two splits; of a suite with splits of its own no other ticket is read but to train on."""
    suite = open_suite(name, unread=_unread(name, tune, certify_on))
    try:
        if tune or certify_on or {TUNE, CERTIFY} <= set(suite.tickets):
            first, second = tune or TUNE, certify_on or CERTIFY
            return suite, suite.split(first), suite.split(second), f"{first}, {second}"
        held_out = halves(suite)
        mine, theirs = part(held_out.held_out)
    except SuiteError as error:
        fail(str(error), USAGE)
    return suite, tuple(mine), tuple(theirs), "40 % and 60 % of the held-out customers, by hash"


def _unread(name: str, tune: str | None, certify_on: str | None) -> tuple[str, ...]:
    """The test split, where the suite's other files say without it what is trained on."""
    folder = Path(name) if Path(name).exists() else DATASETS / name
    alone = list(folder.glob("tickets_train*.jsonl")) and not list(folder.glob("intents_*.jsonl"))
    return ("test",) if alone and "test" not in (tune, certify_on) else ()


def _promises(risk: float, intents: Sequence[str]) -> tuple[Promise, ...]:
    own = []
    for given in intents:
        name, _, rate = given.partition("=")
        try:
            own.append(Promise(float(rate), name))
        except ValueError:
            fail(f"--intent {given}: write it as NAME=RISK", USAGE)
        if not (name and 0 < own[-1].risk < 1):
            fail(f"--intent {given}: a risk lies between 0 and 1", USAGE)
    return (Promise(risk), *own)


# -- running


@dataclass(frozen=True)
class Ran:
    """Both splits after the gate, and what is needed to say what answered them."""

    tune: list[Judged]
    certify: list[Judged]
    adapters: Adapters
    prepared: Prepared


async def judge(asked: Asked, settings: Settings, *, fresh: bool = False) -> Ran:
    """Run both splits down the path, unless the same parts did that before.

    Raises:
        PostgresFailed: no database can be started.
    """
    tickets = (*asked.tune, *asked.certify)
    out = settings.home / "certify" / "-".join(filter(None, (asked.suite.name, asked.suite.variant)))
    order = Order(asked.suite, tickets, f"certify: {asked.splits}", "gate", out)
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    async with opened(order, settings, asked.deployed) as (prepared, adapters):
        rows = _rows(order, prepared, adapters)
        await predict(order, adapters, rows)
        _ = adapters.frozen  # while its folder is as it was
    return Ran(_judged(asked.tune, rows.done), _judged(asked.certify, rows.done), adapters, prepared)


def _rows(order: Order, prepared: Prepared, adapters: Adapters) -> Rows:
    """The rows of an earlier run of the same parts; another run's are dropped."""
    parts = manifest_of(order, prepared, adapters).parts
    manifest = Manifest({name: value for name, value in parts.items() if name != "certificate"})
    try:
        return Rows(order.out, manifest)
    except OtherRun as error:
        stderr.print(f"{error}: all tickets are run again", highlight=False)
        shutil.rmtree(order.out)
        return Rows(order.out, manifest)


def _judged(tickets: Sequence[LabelledTicket], rows: Mapping[str, Prediction]) -> list[Judged]:
    return judged([(rows[ticket.id], ticket) for ticket in tickets])


async def certify_deployed(suite: Suite, settings: Settings, deployed: Prepared, risk: float, say: Say) -> None:
    """Issue a suite with splits of its own the certificate on what is deployed, unless one is in force.

    `risk` is the rate of bad answers to promise.

    Raises:
        PostgresFailed: no database can be started.
    """
    if not {TUNE, CERTIFY} <= set(suite.tickets):
        say(f"{suite.name} has no tune and certify splits, so no certificate: answers are drafted, none is sent")
        return
    in_force = state_of(with_suite(settings, suite, deployed))
    if in_force.verdict == "ok":
        say(f"certificate: {in_force.detail}")
        return
    tune, holdout = suite.split(TUNE), suite.split(CERTIFY)
    say(f"certifying on {len(holdout)} labelled tickets, at most {risk:.1%} bad")
    asked = Asked(suite, tune, holdout, f"{TUNE}, {CERTIFY}", (Promise(risk),), DELTA, None, deployed)
    found = conclude(asked, await judge(asked, settings))
    say("\n".join(line for proof in found.certifying.proofs for line in _lines(proof)))
    if found.certification is None:
        say("no certificate: answers are drafted, none is sent by itself")


# -- the certificate


@dataclass(frozen=True)
class Conclusion:
    """What was found, and what was written."""

    certifying: Certifying
    certification: Certification | None  # None: no promise is proved
    path: Path
    figures: dict[str, Any]


def conclude(asked: Asked, ran: Ran) -> Conclusion:
    """Learn, prove, and write the score and the certificate; without any proof an older certificate is removed.

    Raises:
        ValueError: a customer is in both splits.
    """
    found = certify(ran.tune, ran.certify, asked.promises, asked.delta)
    folder = ran.prepared.models_dir
    grid = sha256(repr([proof.grid for proof in found.proofs]).encode()).hexdigest()
    origin: dict[str, str | int] = {
        "suite": asked.suite.name,
        "splits": asked.splits,
        "tune": found.tune,
        "commit": commit(),
        "grid": grid,
    }
    score = found.scored.model.model_copy(update={"made_of": {**found.scored.model.made_of, **origin}})
    (folder / SCORE).write_text(score.model_dump_json(indent=1) + "\n", encoding="utf-8")
    certification = _issued(asked, ran, found, origin)
    path = folder / CERTIFICATE
    if certification is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(certification.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return Conclusion(found, certification, path, _figures(asked, found, certification, path))


def _issued(asked: Asked, ran: Ran, found: Certifying, origin: dict[str, str | int]) -> Certification | None:
    now = datetime.now(UTC)
    frozen = Adapters(ran.adapters.settings, ran.adapters.pools).frozen  # with the score that has just been written
    certificates = [issue(proof.finding, intents=proof.intents, frozen=frozen, issued_at=now) for proof in found.proofs]
    ends = now + timedelta(days=asked.days) if asked.days else None
    proved = tuple(one.model_copy(update={"expires_at": ends}) for one in certificates if one is not None)
    if not proved:
        return None
    sections = frozenset(fingerprint(section.text) for section in sections_of(asked.suite))
    return Certification(certificates=proved, sections=sections, made_of=origin)


# -- showing


def _figures(asked: Asked, found: Certifying, certification: Certification | None, path: Path) -> dict[str, Any]:
    return {
        "suite": asked.suite.name,
        "splits": asked.splits,
        "certified": found.certified,
        "tune": found.tune,
        "certify": found.certify,
        "delta": asked.delta,
        "deflection": found.deflection,
        "auroc": found.scored.auroc,
        "auroc_candidates": found.scored.auroc_candidates,
        "promises": [_promise(proof) for proof in found.proofs],
        "certificate": str(path) if certification else None,
        "not_covered": ["wrong labels", "tickets of another kind than those labelled", "adversaries"],
    }


def _promise(proof: Proof) -> dict[str, Any]:
    finding, plan = proof.finding, proof.plan
    return {
        "intent": proof.promise.intent,
        "intents": proof.intents,
        "risk": finding.risk,
        "delta": finding.delta,
        "certified": finding.certified,
        "n": finding.n,
        "candidates": proof.drafts,
        "bad_at_laxest": finding.seen[-1][1] if finding.seen else 0,
        "threshold": finding.threshold,
        "accepted": finding.accepted,
        "bad": finding.bad,
        "bound": None if math.isnan(finding.bound) else finding.bound,
        "deflection": proof.deflection,
        "tried": [vars(step) for step in finding.tried],
        "fewest_accepted": fewest(finding.risk, finding.delta),
        "next": vars(plan),
    }


def _show(found: Conclusion) -> None:
    figures = found.figures
    console.print(
        f"{figures['suite']} ({figures['splits']}): score learned on {figures['tune']} tickets, "
        f"proved on {figures['certify']}",
        highlight=False,
    )
    for proof in found.certifying.proofs:
        console.print("\n".join(_lines(proof)), highlight=False, markup=False, soft_wrap=True)
    if found.certification is None:
        console.print(f"[bold yellow]Refused:[/] nothing is sent by itself; no {found.path}", highlight=False)
    else:
        console.print(f"wrote {found.path}: deflection {figures['deflection']:.1%} of tickets", highlight=False)
    console.print("Not covered: wrong labels, other kinds of tickets than those labelled, adversaries.")


def _lines(proof: Proof) -> list[str]:
    finding, plan = proof.finding, proof.plan
    what = f"at most {finding.risk:.2%} bad, δ = {finding.delta:.3g}"
    whom = proof.promise.intent or f"{len(proof.intents)} intents"
    needs = _needs(finding, plan)
    if finding.certified:
        return [
            f"certified: {whom}: {what}",
            f"  n {finding.n}, accepted {finding.accepted}, bad {finding.bad}, upper bound {finding.bound:.2%}",
            f"  threshold P(good) {finding.threshold:.4f}, deflection {proof.deflection:.1%}",
            f"  the next tighter promise, {plan.risk:.2%}: {needs}",
        ]
    last = finding.tried[-1] if finding.tried else None
    why = (
        f"{last.bad} bad of {last.accepted} accepted at P(good) {last.threshold:.4f} (tail {last.tail:.3f})"
        if last
        else f"the gate lets {proof.drafts} of {finding.n} pass, and even a clean record needs "
        f"{fewest(finding.risk, finding.delta)}"
    )
    return [f"refused: {whom}: {what}", f"  {why}", f"  this promise needs {needs}"]


def _needs(finding: Finding, plan: Plan) -> str:
    if plan.labels:
        return f"about {plan.labels} labels at the rate seen ({plan.accepted} accepted)"
    most = max((accepted for accepted, _ in finding.seen), default=0)
    if most < FEW:
        return f"more labels than can be told: a rate shows from {FEW} accepted on, and the laxest threshold has {most}"
    return "no number of labels: the rate seen is not below it"


# -- validity


def _validity(asked: Asked, ran: Ran, splits: int) -> dict[str, Validity]:
    """By what is certified: the answers that the gate lets pass, and, as these may be few, every draft."""
    pool = [*ran.tune, *ran.certify]
    pools = {"passed": pool, "every_draft": every_draft(pool)}
    return {name: validity(rows, asked.promises[0], asked.delta, splits) for name, rows in pools.items()}


_POOLS = {"passed": "answers that the gate lets pass", "every_draft": "every draft, as if the gate let it pass"}


def _show_validity(asked: Asked, found: Mapping[str, Validity], as_json: bool) -> None:
    risk = asked.promises[0].risk
    if as_json:
        figures = {name: {"share": one.share, **vars(one)} for name, one in found.items()}
        print_json({"suite": asked.suite.name, "risk": risk, "delta": asked.delta, **figures})
        return
    for name, one in found.items():
        console.print(
            f"{asked.suite.name}, {_POOLS[name]}: {one.splits} splits at {risk:.2%}, δ = {asked.delta:.3g}: certified "
            f"in {one.certified}, broken in {one.violated} ({one.share:.1%}; naive thresholds: {one.naive_violated}), "
            f"mean deflection {one.deflection:.1%}",
            highlight=False,
            soft_wrap=True,
        )
