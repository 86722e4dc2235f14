"""Prints what is published to the channel "news".  pip install centrifuge-python && python client.py"""

import asyncio
import sys

from centrifuge import Client, PublicationContext, SubscribedContext, SubscriptionEventHandler


class News(SubscriptionEventHandler):
    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        print("subscribed", flush=True)

    async def on_publication(self, ctx: PublicationContext) -> None:
        print("received", ctx.pub.data, flush=True)


async def main(url: str) -> None:
    client = Client(url)
    await client.new_subscription("news", events=News()).subscribe()
    await client.connect()
    await asyncio.Event().wait()  # until Ctrl+C


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["ws://localhost:8000/connection/websocket"]))
