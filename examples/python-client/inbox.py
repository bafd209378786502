"""A user's client: shows what services tell the user and who of the users named is there, and says what was read.

TRUNKLINE_TOKEN holds the token; the stubs are made as README.md says.

usage: inbox.py HOST:PORT [USER...]
"""
import os, queue, sys, time, uuid  # noqa: E401

import grpc
from trunkline.v1 import message_pb2, session_pb2 as v1, session_pb2_grpc

address, *watched = sys.argv[1:]
outgoing = queue.Queue()


def send(**frame):
    outgoing.put(v1.ClientFrame(**frame))


def show(*words):
    print(*words, flush=True)


with grpc.insecure_channel(address) as channel:
    frames = session_pb2_grpc.SessionServiceStub(channel).Connect(iter(outgoing.get, None))
    device = v1.Device(device_id=f"inbox-{uuid.getnode()}")
    # The time grows with each connection, as an attempt must.
    send(ref=1, hello=v1.Hello(token=os.environ["TRUNKLINE_TOKEN"], device=device, attempt=int(time.time()), protocol=1))
    send(ref=2, set_presence=v1.SetPresence(status=v1.PRESENCE_STATUS_ONLINE, text="reading the inbox"))
    send(ref=3, watch_presence=v1.WatchPresence(user_ids=watched))
    for frame in frames:
        kind = frame.WhichOneof("frame")
        if kind == "error":
            sys.exit(f"refused: {frame.error.message}")
        if kind == "ping":
            send(pong=v1.Pong(id=frame.ping.id))
        if kind == "welcome":
            inbox = frame.welcome.inbox_room_id
            send(ref=4, subscribe=v1.Subscribe(room_id=inbox, after=message_pb2.Position(seq=0)))
        if kind in ("presence_snapshot", "presence_changes"):
            for presence in getattr(frame, kind).presences:
                show(f"{presence.user_id} is {v1.PresenceStatus.Name(presence.status)[16:].lower()}", presence.text)
        for event in frame.room_events.events:
            if event.HasField("message_created"):
                show(f"{event.actor.display_name or event.actor.user_id}: {event.message_created.body.text}")
            # It was shown: whoever sent it can ask.
            send(mark=v1.Mark(room_id=inbox, read=event.position))
