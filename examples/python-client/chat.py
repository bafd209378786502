"""Talks in a room over gRPC. TRUNKLINE_TOKEN holds the token; the stubs are made as README.md says.

usage: chat.py HOST:PORT ROOM TEXT
"""
import os, queue, sys, uuid  # noqa: E401

import grpc
from trunkline.v1 import message_pb2, session_pb2 as v1, session_pb2_grpc

address, room, text = sys.argv[1:]
outgoing = queue.Queue()
with grpc.insecure_channel(address) as channel:
    frames = session_pb2_grpc.SessionServiceStub(channel).Connect(iter(outgoing.get, None))
    device = v1.Device(device_id=f"python-{uuid.getnode()}")
    everything = v1.RoomPosition(room_id=room, after=message_pb2.Position(seq=0))
    token = os.environ["TRUNKLINE_TOKEN"]
    outgoing.put(v1.ClientFrame(ref=1, hello=v1.Hello(token=token, device=device, attempt=1, protocol=1, rooms=[everything])))
    body = message_pb2.Body(text=text)
    key = str(uuid.uuid4())  # Resend under the same key until it is answered.
    outgoing.put(v1.ClientFrame(ref=2, publish=v1.Publish(room_id=room, client_message_id=key, attempt=1, body=body)))
    for frame in frames:
        if frame.HasField("error"):
            sys.exit(f"refused: {frame.error.message}")
        for event in frame.room_events.events:
            if not event.HasField("message_created"):
                continue  # Somebody joined, say.
            said = event.message_created
            print(f"{event.position.seq:>5}  {event.actor.display_name or event.actor.user_id}: {said.body.text}", flush=True)
            if said.client_message_id == key:
                outgoing.put(None)  # Our own message has come back: nothing more to say. The server ends the stream.
