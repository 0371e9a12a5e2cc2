"""Decide a revision once: send it, suggest it to a person, or hand it over. `TABLE` is the whole decision."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from processors.loops import RULES, loops, own_words
from processors.memory import line_of, recalled
from processors.policy import Policy, RuleHit, amount_rule, hard_rule
from processors.ports import Source, SwitchView, Verifier
from processors.reply_window import within_window
from processors.selective import Assessment, Certified
from processors.sentences import stems
from processors.tampered import instructs, leads_out
from schemas.control import SwitchState
from schemas.gate import Decision, Disposition, ReplyApproved, SentenceCheck, SourceUsed, TicketEscalated
from schemas.ingress import Proof, TicketReceived
from schemas.resolution import Citation, Draft, ReplyDrafted, Sentence
from schemas.retrieval import Evidence, Fact, Passage
from schemas.router import Band

RECORD = "crm:"  # how the citation of a customer's record begins
QUOTED = 280  # characters of the ticket in a summary
REMEMBERED = 600  # characters of earlier tickets in it
FOREIGN = 0.25  # share of a short text's words up to which those that the source does not use tell no other language


async def judge(drafted: ReplyDrafted, *, verifier: Verifier) -> tuple[SentenceCheck, ...]:
    """The verifier's finding on each sentence of the draft; nothing where there is no draft."""
    if drafted.draft is None or drafted.failure is not None:
        return ()
    question = f"{drafted.ticket.subject}\n{drafted.ticket.body}".strip()
    return await verifier.verify(question, drafted.draft.sentences, sources_of(drafted.evidence))


def sources_of(evidence: Evidence) -> tuple[Source, ...]:
    """The evidence as texts to cite: the passages, best first, then the records."""
    passages = [Source(p.article_id, p.section_id, p.text, f"{p.title}: {p.heading}") for p in evidence.passages]
    return (*passages, *(Source(fact.record, None, fact.text) for fact in evidence.facts))


# -- what the table looks at


@dataclass(frozen=True)
class Case:
    """A draft with all that is known about it."""

    drafted: ReplyDrafted
    draft: Draft | None  # None where drafting failed or gave no sentence
    checks: tuple[SentenceCheck, ...]  # one per sentence of the draft, in its order
    switch: SwitchView
    hit: RuleHit | None  # the hard rule the ticket meets: looked up again, the route's word is not enough
    ceiling: tuple[Band, str]  # the most the policy allows, and its line
    threshold: float
    sure: float  # P(intent is right) from which the policy calls the router sure
    assessment: Assessment | None  # what the certificate says of it; None where the policy waives certificates
    loops: Mapping[str, str]  # the signs that two machines talk, with their reasons
    shed: bool  # whether the policy leaves what waited this long to a person
    now: datetime

    @property
    def citations(self) -> tuple[Citation, ...]:
        """What the draft cites, in its order."""
        sentences = self.draft.sentences if self.draft else ()
        return tuple(sentence.citation for sentence in sentences if sentence.citation)

    @property
    def cites_records(self) -> bool:
        """Whether the draft tells something out of a customer's records."""
        filled = self.draft is not None and self.draft.template is not None
        return filled or any(citation.article_id.startswith(RECORD) for citation in self.citations)

    @property
    def cited(self) -> tuple[Passage, ...]:
        """The passages the draft cites, best first."""
        keys = {(citation.article_id, citation.section_id) for citation in self.citations}
        return tuple(p for p in self.drafted.evidence.passages if (p.article_id, p.section_id) in keys)

    @property
    def relied_on(self) -> tuple[Passage, ...]:
        """The passages the draft cites and, unless it cites records only, the best one found."""
        best = self.drafted.evidence.passages[:1]
        return self.cited if self.cites_records else (*self.cited, *(p for p in best if p not in self.cited))

    @property
    def tampered(self) -> tuple[str, ...]:
        """The sources the draft relies on that somebody seems to have written into, by name."""
        passages = (_key(p) for p in self.relied_on if instructs(f"{p.title}\n{p.heading}\n{p.text}"))
        sentences = self.draft.sentences if self.draft else ()
        told = ((s.citation.article_id, s.text) for s in sentences if s.citation)
        records = (
            name.removeprefix(RECORD)
            for name, text in told
            if name.startswith(RECORD) and (leads_out(text) or instructs(text))
        )
        return tuple(dict.fromkeys((*passages, *records)))

    @property
    def unsupported(self) -> tuple[SentenceCheck, ...]:
        """The findings that forbid sending the draft."""
        return tuple(check for check in self.checks if not check.supported)


# -- the table


@dataclass(frozen=True)
class Row:
    """A row of the gate's table. Its name is the word in `Decision.rule`, in metrics and in reports: keep it."""

    name: str
    disposition: Disposition
    applies: Callable[[Case], bool]
    reason: Callable[[Case], str]  # in words, for the person who takes the ticket over


def _says(text: str) -> Callable[[Case], str]:
    return lambda case: text


def _loop(name: str) -> Row:
    return Row(name, Disposition.SUGGEST, lambda case: name in case.loops, lambda case: case.loops[name])


TABLE: tuple[Row, ...] = (
    Row(
        "switched-off",
        Disposition.HANDOFF,
        lambda case: case.switch.state is SwitchState.OFF,
        lambda case: f"the switch is off: {case.switch.why}",
    ),
    Row(
        "hard-rule",
        Disposition.HANDOFF,
        lambda case: case.hit is not None,
        lambda case: f"{case.hit.name}: {case.hit.reason}" if case.hit else "",
    ),
    Row(
        "policy-escalates",
        Disposition.HANDOFF,
        lambda case: case.ceiling[0] is Band.ESCALATE,
        lambda case: f"the policy leaves this to people: {case.ceiling[1]}",
    ),
    Row(
        "route-escalates",
        Disposition.HANDOFF,
        lambda case: case.drafted.route.band is Band.ESCALATE,
        lambda case: "; ".join(case.drafted.route.reasons) or case.drafted.route.rule or "the router is unsure",
    ),
    Row(
        "retrieval-failed",
        Disposition.HANDOFF,
        lambda case: case.drafted.evidence.failure is not None,
        lambda case: f"the search for sources failed: {case.drafted.evidence.failure}",
    ),
    Row(
        "no-confident-source",
        Disposition.HANDOFF,
        lambda case: not _confident(case),
        lambda case: f"no confident source: best score {case.drafted.evidence.best_score:.2f}",
    ),
    Row(
        "no-draft",
        Disposition.HANDOFF,
        lambda case: case.draft is None,
        lambda case: f"no draft: {case.drafted.failure or 'the model wrote nothing'}",
    ),
    Row("unsupported", Disposition.SUGGEST, lambda case: bool(case.unsupported), lambda case: _unsupported(case)),
    Row(
        "tampered-source",
        Disposition.SUGGEST,
        lambda case: bool(case.tampered),
        lambda case: f"somebody may have written into a source, look at it first: {', '.join(case.tampered)}",
    ),
    Row(
        "route-suggests",
        Disposition.SUGGEST,
        lambda case: case.drafted.route.band is not Band.AUTO,
        lambda case: "; ".join(case.drafted.route.reasons) or case.drafted.route.rule or "a person should look at it",
    ),
    Row(
        "switched-to-suggest",
        Disposition.SUGGEST,
        lambda case: case.switch.state is not SwitchState.AUTO,
        lambda case: f"the switch is {case.switch.state.value}: {case.switch.why}",
    ),
    Row(
        "policy-suggests",
        Disposition.SUGGEST,
        lambda case: case.ceiling[0] is not Band.AUTO,
        lambda case: f"the policy wants a person's look: {case.ceiling[1]}",
    ),
    Row(
        "machine-written",
        Disposition.SUGGEST,
        lambda case: case.drafted.ticket.marks.automatic,
        _says("a machine wrote this message: it gets no automatic answer"),
    ),
    *(_loop(name) for name in RULES),
    Row(
        "own-words",
        Disposition.SUGGEST,
        lambda case: own_words(case.drafted.ticket, case.drafted.admission, case.draft.text if case.draft else None),
        _says("it says what we say, word for word: a reply of ours may have come back"),
    ),
    Row(
        "owned-by-person",
        Disposition.SUGGEST,
        lambda case: case.drafted.admission.owner != "bot",
        _says("a person has taken this conversation over"),
    ),
    Row(
        "identity-unproved",
        Disposition.SUGGEST,
        lambda case: case.cites_records and not _proved(case),
        _says("the answer tells of records, and who is writing is not proved"),
    ),
    Row(
        "unsure-topic",
        Disposition.SUGGEST,
        lambda case: case.cites_records and case.drafted.route.confidence < case.sure,
        _says("the answer tells the state of a record, and it is not sure that this was the question"),
    ),
    Row(
        "stale-source",
        Disposition.SUGGEST,
        lambda case: any(_stale(passage, case.now) for passage in case.relied_on),
        lambda case: f"past its review date: {_names(p for p in case.relied_on if _stale(p, case.now))}",
    ),
    Row(
        "conflicting-sources",
        Disposition.SUGGEST,
        lambda case: bool(_conflicts(case)),
        lambda case: "; ".join(_conflicts(case)),
    ),
    Row(
        "other-language",
        Disposition.SUGGEST,
        lambda case: not _same_language(case),
        lambda case: f"the ticket's language is {case.drafted.ticket.language or 'unknown'}, the answer's another",
    ),
    Row(
        "overload",  # behind the others: what it counts would have been sent
        Disposition.SUGGEST,
        lambda case: case.shed,
        lambda case: f"it waited {_waited(case)} minutes, more than the policy allows for an answer by itself",
    ),
    Row(
        "no-certificate",
        Disposition.SUGGEST,
        lambda case: case.assessment is not None and case.assessment.void is not None,
        lambda case: f"no valid certificate: {case.assessment.void if case.assessment else None}",
    ),
    Row(
        "below-certificate",
        Disposition.SUGGEST,
        lambda case: case.assessment is not None and case.assessment.void is None and not case.assessment.admitted,
        lambda case: f"less likely good than the certificate asks: {_chance(case.assessment)}",
    ),
    Row("all-clear", Disposition.AUTO, lambda case: True, _says("every check passed")),
)


def decide(  # noqa: PLR0913 - everything the decision rests on, by name
    drafted: ReplyDrafted,
    checks: Sequence[SentenceCheck],
    *,
    switch: SwitchView,
    policy: Policy,
    threshold: float,
    floor: float,
    verifier_name: str,
    config_hash: str,
    now: datetime,
    certified: Certified | None = None,
) -> Decision:
    """The first row of `TABLE` that applies.

    `threshold` is what a passage must score to count as a source, `floor` what the worst sentence must reach.
    `certified` is the score and the certificate in force. Without it nothing is sent, unless the policy waives it.
    """
    draft = drafted.draft if drafted.failure is None and drafted.draft and drafted.draft.sentences else None
    settled = _settled(draft, drafted.evidence, checks, floor)
    in_force = certified or Certified(None, None, "")
    assessment = in_force.assess(drafted.ticket, drafted.route, drafted.evidence, draft, settled, now)
    case = Case(
        drafted=drafted,
        draft=draft,
        checks=settled,
        switch=switch,
        hit=_rule_hit(drafted, policy),
        ceiling=policy.ceiling(drafted.route.intent, drafted.ticket.channel),
        threshold=threshold,
        sure=policy.thresholds.sure_confidence,
        assessment=None if policy.auto.certificate == "waived" else assessment,
        loops=loops(drafted.ticket, drafted.admission, policy.email),
        shed=policy.sheds(drafted.ticket.received_at, now),
        now=now,
    )
    row = next(row for row in TABLE if row.applies(case))
    return Decision(
        disposition=row.disposition,
        rule=row.name,
        reasons=_reasons(row, case),
        checks=case.checks,
        groundedness=min((check.score for check in case.checks), default=0.0),
        floor=floor,
        retrieval_threshold=threshold,
        sources=_sources(case),
        model=draft.model if draft else None,
        prompt_hash=draft.prompt_hash if draft else None,
        verifier=verifier_name,
        policy_hash=policy.hash,
        config_hash=config_hash,
        switch_state=switch.state.value,
        switch_epoch=switch.epoch,
        decided_at=now,
        p_good=assessment.p_good,
    )


def _rule_hit(drafted: ReplyDrafted, policy: Policy) -> RuleHit | None:
    text = f"{drafted.ticket.subject}\n{drafted.ticket.body}"
    hit = hard_rule(drafted.ticket, drafted.admission.transcript, policy)
    return hit or amount_rule(drafted.route.intent, text, policy)


def _reasons(first: Row, case: Case) -> tuple[str, ...]:
    """Why the first row applies; for a suggestion also every other reason against sending, as a person needs all."""
    if first.disposition is not Disposition.SUGGEST:
        return (first.reason(case),)
    rows = (row for row in TABLE if row.disposition is Disposition.SUGGEST and row.applies(case))
    return tuple(dict.fromkeys(row.reason(case) for row in rows))


# -- the findings


def _settled(
    draft: Draft | None, evidence: Evidence, checks: Sequence[SentenceCheck], floor: float
) -> tuple[SentenceCheck, ...]:
    """One finding per sentence, trusted only where it is about it, unvetoed, a probability, and at the floor."""
    sentences = draft.sentences if draft else ()
    known: set[tuple[str, str | None]] = {(p.article_id, p.section_id) for p in evidence.passages}
    known |= {(fact.record, None) for fact in evidence.facts}
    if len(checks) != len(sentences):
        return tuple(_refused(sentence, "not-checked") for sentence in sentences)
    return tuple(_settle(sentence, check, known, floor) for sentence, check in zip(sentences, checks, strict=True))


def _settle(
    sentence: Sentence, check: SentenceCheck, known: set[tuple[str, str | None]], floor: float
) -> SentenceCheck:
    if check.text != sentence.text:
        return _refused(sentence, "not-checked")
    if sentence.citation is None:
        return _refused(sentence, *check.vetoes, "no-citation")
    if (sentence.citation.article_id, sentence.citation.section_id) not in known:
        return _refused(sentence, *check.vetoes, "unknown-source")
    if check.vetoes or not 0.0 <= check.score <= 1.0:  # NaN is neither
        return _refused(sentence, *check.vetoes)
    return check.model_copy(update={"supported": check.supported and check.score >= floor})


def _refused(sentence: Sentence, *vetoes: str) -> SentenceCheck:
    return SentenceCheck(text=sentence.text, supported=False, score=0.0, vetoes=tuple(dict.fromkeys(vetoes)))


# -- the conditions


def _confident(case: Case) -> bool:
    """Whether a passage or a record was found, and no passage that the draft cites is below the threshold."""
    evidence = case.drafted.evidence
    found = bool(evidence.facts) or any(passage.score >= case.threshold for passage in evidence.passages)
    return found and all(passage.score >= case.threshold for passage in case.cited)


def _proved(case: Case) -> bool:
    return case.drafted.admission.customer_id is not None and case.drafted.ticket.identity.proof is not Proof.NONE


def _stale(passage: Passage, now: datetime) -> bool:
    return passage.stale or (passage.review_by is not None and passage.review_by <= now)


def _conflicts(case: Case) -> tuple[str, ...]:
    """The disagreements that touch a passage the answer relies on, or that name no passage at all."""
    keys = {_key(passage) for passage in case.relied_on}
    named = (
        (text, {word.strip(",;:.") for word in text.split() if "#" in word}) for text in case.drafted.evidence.conflicts
    )
    return tuple(text for text, sections in named if not sections or keys & sections)


def _waited(case: Case) -> int:
    """Minutes since the ticket came."""
    return int((case.now - case.drafted.ticket.received_at).total_seconds() // 60)


def _same_language(case: Case) -> bool:
    """Whether the ticket is in the language of every passage cited; templates of records are English.

    A few words do not tell their language. They count as the help centre's where the classifier, which was trained in
    it, is sure of the topic, or where the passages cited use these very words.
    """
    language = case.drafted.ticket.language
    if language is None:
        return case.drafted.route.confidence >= case.sure or _in_words_of(case.cited, case.drafted.ticket)
    answered = {_primary(passage.language) for passage in case.cited} or {"en"}
    return answered == {_primary(language)}


def _in_words_of(passages: Iterable[Passage], ticket: TicketReceived) -> bool:
    """Whether hardly a content word of the ticket is missing in the passages; stems are of ASCII letters only."""
    text = f"{ticket.subject}\n{ticket.body}"
    asked = stems(text)
    told = stems("\n".join(f"{passage.title}\n{passage.heading}\n{passage.text}" for passage in passages))
    known = not any(sign.isalpha() and not sign.isascii() for sign in text)
    return known and bool(asked) and len(asked - told) <= FOREIGN * len(asked)


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


# -- what a person gets


def due_at(decision: Decision, policy: Policy, now: datetime) -> datetime:
    """When a person should have acted on this decision."""
    return now + timedelta(minutes=policy.sla_minutes(decision.disposition))


def leave(drafted: ReplyDrafted, decision: Decision, policy: Policy) -> ReplyApproved | TicketEscalated:
    """The event by which the ticket leaves the gate: a request to send, a draft to approve, or a hand-over."""
    if decision.disposition is Disposition.AUTO and drafted.draft is not None:
        expiry = timedelta(minutes=policy.reply_expiry_minutes(drafted.ticket.channel))
        return ReplyApproved(
            ticket=drafted.ticket,
            admission=drafted.admission,
            route=drafted.route,
            evidence=drafted.evidence,
            draft=drafted.draft,
            decision=decision,
            idempotency_key=f"{drafted.ticket.ticket_id}:{drafted.admission.revision}",
            switch_epoch=decision.switch_epoch,
            expires_at=within_window(decision.decided_at + expiry, drafted.ticket),
        )
    return TicketEscalated(
        ticket=drafted.ticket,
        admission=drafted.admission,
        route=drafted.route,
        evidence=drafted.evidence,
        draft=drafted.draft,
        decision=decision,
        summary=summary_of(drafted, decision),
        due_at=within_window(due_at(decision, policy, decision.decided_at), drafted.ticket),
    )


def summary_of(drafted: ReplyDrafted, decision: Decision) -> str:
    """The ticket in a few plain lines: who wants what, what was found, and why a person is asked."""
    lines = (_who(drafted), _wants(drafted), _before(drafted), _found(drafted.evidence), _why(decision))
    return "\n".join(line for line in lines if line)


def _who(drafted: ReplyDrafted) -> str:
    customer = drafted.admission.customer_id
    who = f"Customer {customer} (proved)" if customer else "Somebody whose identity is not proved"
    turn = f", message {drafted.admission.revision} of this conversation" if drafted.admission.revision > 1 else ""
    return f"{who} writes by {drafted.ticket.channel.value}{turn}."


def _wants(drafted: ReplyDrafted) -> str:
    text = drafted.ticket.body or drafted.ticket.body_full  # a picture without words has a note there
    said = " ".join(f"{drafted.ticket.subject}: {text}".split()).removeprefix(": ")
    cut = said if len(said) <= QUOTED else f"{said[:QUOTED].rsplit(' ', 1)[0]} …"
    return f"Wants ({drafted.route.intent.replace('_', ' ')}): {cut}"


def _before(drafted: ReplyDrafted) -> str:
    """The proved customer's earlier tickets, newest last; nothing where there are none."""
    lines = [line_of(ticket) for ticket in recalled(drafted.admission, REMEMBERED)]
    return f"Earlier: {' | '.join(lines)}" if lines else ""


def _found(evidence: Evidence) -> str:
    passages = [f"{passage.title}: {passage.heading}" for passage in evidence.passages[:3]]
    records = [f"{fact.record.removeprefix(RECORD)} ({_state(fact)})" for fact in evidence.facts]
    return f"Found: {'; '.join((*passages, *records)) or 'nothing that answers it'}."


def _state(fact: Fact) -> str:
    return fact.fields.get("status", "no status")


def _why(decision: Decision) -> str:
    act = "A draft waits for approval" if decision.disposition is Disposition.SUGGEST else "Handed over"
    return f"{act}: {'; '.join(decision.reasons)}."


# -- in words


def _unsupported(case: Case) -> str:
    vetoes = sorted({veto for check in case.unsupported for veto in check.vetoes})
    why = f" ({', '.join(vetoes)})" if vetoes else ""
    return f"{len(case.unsupported)} of {len(case.checks)} sentences are not supported by their source{why}"


def _chance(assessment: Assessment | None) -> str:
    if assessment is None or assessment.p_good is None:
        return "nothing says how likely"
    return f"P(good) is {assessment.p_good:.3f}, and {assessment.threshold:.3f} is asked"


def _key(passage: Passage) -> str:
    return f"{passage.article_id}#{passage.section_id}"


def _names(passages: Iterable[Passage]) -> str:
    return ", ".join(_key(passage) for passage in passages)


def _sources(case: Case) -> tuple[SourceUsed, ...]:
    """The sources the draft cites, each once, with the version it was read in."""
    used = dict.fromkeys((citation.article_id, citation.section_id) for citation in case.citations)
    return tuple(_source(article, section, case.cited) for article, section in used)


def _source(article: str, section: str | None, cited: Iterable[Passage]) -> SourceUsed:
    for passage in cited:
        if (passage.article_id, passage.section_id) == (article, section):
            return SourceUsed(article_id=article, section_id=section, version=passage.version, score=passage.score)
    return SourceUsed(article_id=article, section_id=section)
