"""The chat widget in a real Chromium: by keyboard, over a real broker, and across a restart of the edge."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Consumer
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

from infra.kafka.producer import Producer
from schemas.codec import decode
from schemas.ingress import TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Citation, Sentence
from schemas.topics import Topic

Serve = Callable[..., AbstractAsyncContextManager[str]]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "<img src=x onerror=alert(1)> Returns are free."
ARTICLES = "https://help.shop.example/{article}"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window. Fails, never skips, where it is missing."""
    binary, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.fail("install Chromium and chromedriver: sh infra/browser.sh", pytrace=False)
    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1000,760"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    yield Browser(chrome)
    chrome.quit()


class Browser:
    """One tab, seen as its user sees it: keys in, text out. Chromium's driver blocks, so it has a thread."""

    def __init__(self, chrome: Chrome) -> None:
        self._chrome = chrome

    async def visit(self, address: str) -> None:
        self._chrome.get("about:blank")
        self.complaints()  # of the page before: its edge is gone
        await asyncio.to_thread(self._chrome.get, f"{address}/widget-demo")
        await self.until("return document.getElementById('sluice-chat') !== null")

    async def press(self, *keys: str) -> None:
        await asyncio.to_thread(ActionChains(self._chrome, duration=0).send_keys(*keys).perform)

    async def press_with_shift(self, key: str) -> None:
        chain = ActionChains(self._chrome, duration=0).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT)
        await asyncio.to_thread(chain.perform)

    async def ask(self, script: str) -> Any:
        """What a script says, where `root` is the widget's inside."""
        prelude = "const root = document.getElementById('sluice-chat')?.shadowRoot;"
        return await asyncio.to_thread(self._chrome.execute_script, prelude + script)

    async def until(self, script: str) -> None:
        async with asyncio.timeout(30):
            while not await self.ask(script):
                await asyncio.sleep(0.1)

    async def shows(self, text: str) -> None:
        """Wait until the log or the status line holds a text."""
        found = "(root.querySelector('.log').textContent + root.querySelector('.status').textContent)"
        await self.until(f"return {found}.includes({json.dumps(text)})")

    async def focus(self) -> str:
        return str(await self.ask("return root.activeElement?.id || root.activeElement?.className || 'nowhere'"))

    async def texts(self) -> list[str]:
        return list(await self.ask("return [...root.querySelectorAll('.text')].map((text) => text.textContent)"))

    def complaints(self) -> list[str]:
        """What the console holds against the page, violations of its policy among it."""
        return [entry["message"] for entry in self._chrome.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture
async def producer(kafka_topics: str) -> AsyncIterator[Producer]:
    async with Producer(kafka_topics) as producer:
        yield producer


async def test_the_keyboard_alone_opens_writes_and_closes(browser: Browser, chat_edge: Serve) -> None:
    async with chat_edge(demo=True) as address:
        await browser.visit(address)
        await browser.press(Keys.TAB, Keys.ENTER)
        assert await browser.focus() == "text"
        await browser.press("Where is")
        await browser.press_with_shift(Keys.ENTER)
        await browser.press("my order?", Keys.ENTER)
        await browser.shows("Message received.")
        assert await browser.texts() == ["Where is\nmy order?"]
        await browser.press(Keys.ESCAPE)
        assert await browser.ask("return root.getElementById('panel').hidden")
        assert await browser.focus() == "launcher"
        assert browser.complaints() == []


async def test_an_answer_is_shown_as_text_with_its_sources(
    browser: Browser, chat_edge: Serve, producer: Producer, kafka_topics: str
) -> None:
    async with chat_edge(demo=True, article_url=ARTICLES) as address:
        await browser.visit(address)
        await browser.press(Keys.TAB, Keys.ENTER, "May I send it back?", Keys.ENTER)
        ticket = await asyncio.to_thread(inbound, kafka_topics)
        await producer.publish(Topic.OUTCOME, ticket.conversation, answered(ticket, HOSTILE))
        await browser.shows(HOSTILE)
        assert await browser.ask("return [...root.querySelectorAll('.log a')].map((link) => link.href)") == [
            "https://help.shop.example/returns"
        ]
        await browser.until("return root.querySelector('.status').textContent === ''")
        assert browser.complaints() == []


async def test_a_person_s_reply_arrives_after_the_edge_was_away(
    browser: Browser, chat_edge: Serve, producer: Producer, kafka_topics: str
) -> None:
    async with chat_edge(demo=True) as address:
        await browser.visit(address)
        await browser.press(Keys.TAB, Keys.ENTER, "I want a person", Keys.ENTER)
        ticket = await asyncio.to_thread(inbound, kafka_topics)
        await producer.publish(Topic.OUTCOME, ticket.conversation, acted(ticket, Outcome.HANDED_OFF))
        await browser.shows("A colleague will answer you here.")
    await producer.publish(Topic.OUTCOME, ticket.conversation, acted(ticket, Outcome.EDITED, text="This is Mira."))
    async with chat_edge(demo=True, port=int(address.rpartition(":")[2])):
        await browser.shows("This is Mira.")
        assert await browser.texts() == ["I want a person", "This is Mira."]


# -- what a worker would do


def acted(ticket: TicketReceived, outcome: Outcome, **more: object) -> TicketSettled:
    told = {"ticket_id": ticket.ticket_id, "conversation": ticket.conversation, "account": ticket.account}
    return TicketSettled.model_validate(
        told | {"revision": 1, "outcome": outcome, "settled_at": datetime.now(UTC)} | more
    )


def answered(ticket: TicketReceived, text: str) -> TicketSettled:
    cited = [
        Citation(article_id="returns", section_id="costs", quote="free"),
        Citation(article_id="crm:order/W1", quote=""),
    ]
    sentences = tuple(Sentence(text=text, citation=citation) for citation in cited)
    return acted(ticket, Outcome.SENT, text=text, sentences=sentences)


def inbound(bootstrap: str) -> TicketReceived:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([Topic.INBOUND.value])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    return decode(TicketReceived, message.value())
