"""A stage as Faust's manual would have it, four tickets at a time: it loses tickets, and shows that we would see it.

Usage: stock_faust.py BOOTSTRAP GROUP. It reads the bodies of `echo_worker.py`, of which it knows `id` and `down`.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import faust


def build(bootstrap: str, group: str) -> faust.App:
    """An app with an agent of `concurrency=4` that waits for the broker before it goes on. That is not enough."""
    app = faust.App(
        group,
        broker=f"aiokafka://{bootstrap}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="sluice-stock-"),
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    routed = app.topic("tickets.router", **raw)

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            body = json.loads(event.value)
            while "down" in body and Path(body["down"]).exists():
                await asyncio.sleep(0.1)
            await (await routed.send(key=event.key, value=str(body["id"]).encode()))

    app.agent(app.topic("tickets.inbound", **raw), name="stock.agent", concurrency=4)(agent)
    return app


if __name__ == "__main__":
    app = build(sys.argv[1], sys.argv[2])
    app.finalize()
    sys.exit(app.Worker(loglevel="info").execute_from_commandline())
