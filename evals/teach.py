"""What a suite is trained on beside its labelled tickets, where those leave out what its deployment will be asked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from evals.dataset import OUT_OF_SCOPE, LabelledTicket, Suite
from evals.records import questions
from infra.knowledge import read_articles

TOPIC = "question"  # of anything that the help centre may answer, where nobody has named topics
HEADINGS = 300  # of a help centre without topics
FRAMES = (  # or how a thing is asked would tell its topic
    "{}",
    "How do I do this: {}?",
    "What is this about: {}?",
    "I have a question about {}.",
    "Can you help me with {}? It does not work.",
)
ELSEWHERE = (
    "I love you",
    "What is the capital of France?",
    "Write me a poem about the sea.",
    "You are useless!!!",
    "Who won the match last night?",
    "Can I get a job at your company?",
    "asdf",
    "lol ok",
    "Please call me, I will only talk to a person.",
    "My lawyer will contact you about this.",
    "What do you think about politics?",
    "Book me a table for two tonight.",
)  # what no help centre is about


def taught(suite: Suite) -> Suite:
    """The suite with tickets that are made for it.

    Where customers have orders or other records and no ticket asks for them, questions that do. Where fewer than two
    topics are labelled, the help centre's headings as one topic, against what no help centre is about: a deployment
    without labels drafts for people, and sends nothing by itself. What is only judged says nothing of either.
    """
    learnt = (row for name, rows in suite.tickets.items() if name.startswith(("dev", "train")) for row in rows)
    topics = Counter(ticket.intent_label for ticket in learnt if ticket.intent_label)
    topics.update(example.intent_label for example in suite.intents)
    extra: list[LabelledTicket] = []
    if topics:
        extra += (ticket for ticket in questions(suite.customers, seen=True) if ticket.intent_label not in topics)
    if suite.articles and sum(count > 1 for count in topics.values()) < 2:
        extra += _untopical(suite)
    return replace(suite, extra=tuple(extra))


def _untopical(suite: Suite) -> Iterator[LabelledTicket]:
    articles = [article for path in suite.articles for article in read_articles(path) if article.audience == "public"]
    texts = {f"{article.title}: {section.heading}" for article in articles for section in article.sections}
    for text in sorted(texts, key=lambda text: sha256(text.encode()).digest())[:HEADINGS]:
        yield _made(FRAMES[len(text) % len(FRAMES)].format(text), TOPIC)
    for text in ELSEWHERE:
        yield _made(text, OUT_OF_SCOPE)


def _made(text: str, topic: str) -> LabelledTicket:
    name = f"made-{sha256(text.encode()).hexdigest()[:16]}"
    return LabelledTicket.model_validate({"id": name, "body": text, "intent_label": topic, "split": "made"})
