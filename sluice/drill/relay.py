"""A relay between a worker and a service, which can be cut: bytes then stay where they are, and nobody is told."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]

HOST = "127.0.0.1"
CHUNK = 64 * 1024
STARTS_WITHIN = 5.0  # seconds


@dataclass
class Relay:
    """Listens on a port of this machine, and passes everything on while it is whole."""

    connect: Connect  # to the service
    port: int = 0  # 0: any free one
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _whole: asyncio.Event = field(default_factory=asyncio.Event)
    _listening: threading.Event = field(default_factory=threading.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextmanager
    def running(self) -> Iterator["Relay"]:
        """Relay for as long as the context lasts, from a thread of its own."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        if not self._listening.wait(STARTS_WITHIN):
            raise OSError(None, f"nothing can listen at {HOST}:{self.port}")
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(STARTS_WITHIN)

    def cut(self) -> None:
        """Pass nothing on, in either direction; connections stay open, new ones are taken and lead nowhere."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """Pass everything on again, what was held back first."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._whole.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        for task in (ending := asyncio.all_tasks(self._loop)):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*ending, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            there = await self.connect()
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


def to_port(port: int) -> Connect:
    """To a port of this machine."""
    return lambda: asyncio.open_connection(HOST, port)


def to_socket(path: str) -> Connect:
    """To a Unix socket."""
    return lambda: asyncio.open_unix_connection(path)
