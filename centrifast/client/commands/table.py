"""Which handler serves which request, in the order that decides between several (client protocol 2.2)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.client.commands import (
    connect,
    history,
    presence,
    publish,
    refresh,
    rpc,
    subscribe,
    unsubscribe,
)
from centrifast.errors import Disconnect
from centrifast.protocol.wire import Command, Reply

if TYPE_CHECKING:
    from centrifast.client.session import Session


async def handle(session: "Session", command: Command) -> Reply:
    """Serve *command*, one line a request. Raises ClientError or Disconnect."""
    if command.connect is not None:
        return Reply(id=command.id, connect=await connect.handle_connect(session, command.connect))
    if command.subscribe is not None:
        return Reply(id=command.id, subscribe=await subscribe.handle_subscribe(session, command.subscribe))
    if command.unsubscribe is not None:
        return Reply(id=command.id, unsubscribe=unsubscribe.handle_unsubscribe(session, command.unsubscribe))
    if command.publish is not None:
        return Reply(id=command.id, publish=await publish.handle_publish(session, command.publish))
    if command.presence is not None:
        return Reply(id=command.id, presence=await presence.handle_presence(session, command.presence))
    if command.presence_stats is not None:
        stats = await presence.handle_presence_stats(session, command.presence_stats)
        return Reply(id=command.id, presence_stats=stats)
    if command.history is not None:
        return Reply(id=command.id, history=await history.handle_history(session, command.history))
    if command.rpc is not None:
        return Reply(id=command.id, rpc=rpc.handle_rpc(session, command.rpc))
    if command.send is not None:
        raise Disconnect(errors.NOT_AVAILABLE_DISCONNECT)  # nothing here receives it (client protocol 3.10)
    if command.refresh is not None:
        return Reply(id=command.id, refresh=await refresh.handle_refresh(session, command.refresh))
    if command.sub_refresh is not None:
        return Reply(
            id=command.id, sub_refresh=await refresh.handle_sub_refresh(session, command.sub_refresh)
        )
    raise Disconnect(errors.BAD_REQUEST_DISCONNECT)


def after_reply(session: "Session", command: Command) -> None:
    """What must follow the reply: others hear of the client, and timers start, when it knows of both."""
    if command.connect is not None:
        for channel in tuple(session.subscriptions):
            session.node.subscriptions.announce(session, channel)
        connect.start_timers(session)
    elif command.subscribe is not None:
        session.node.subscriptions.announce(session, command.subscribe.channel)
