"""A client in another language: hello, subscribe, publish, resume, presence, receipts, over gRPC from the .proto files alone.

usage: session.py STUBS HOST:PORT TOKEN ROOM TOKEN, the last one another user's, where STUBS is the folder that grpc_tools.protoc wrote to.
Prints one line of JSON per step; exits 0 when every promise held.
"""

import json
import queue
import sys

import grpc

sys.path.insert(0, sys.argv[1])

from trunkline.v1 import message_pb2, room_pb2, session_pb2, session_pb2_grpc  # noqa: E402

DEADLINE_S = 10


class Session:
    """One stream. Frames to send go through a queue, because gRPC pulls them from an iterator."""

    def __init__(self, channel, token, device_id, attempt, rooms=()):
        self._outgoing = queue.Queue()
        self._ref = 0
        self._position = {}
        self.events = []
        self._frames = session_pb2_grpc.SessionServiceStub(channel).Connect(iter(self._outgoing.get, None))
        device = session_pb2.Device(device_id=device_id, kind=message_pb2.DEVICE_KIND_SERVICE)
        hello = session_pb2.Hello(token=token, device=device, attempt=attempt, protocol=1, rooms=rooms)
        self.welcome = self.request(hello=hello).welcome

    def request(self, **frame):
        """Sends a frame and returns the one frame that answers it."""
        self._ref += 1
        ref = self._ref
        self._outgoing.put(session_pb2.ClientFrame(ref=ref, **frame))
        return self.until(lambda reply: reply.reply_to == ref)

    def until(self, wanted):
        """Reads frames, keeping events, until one is wanted."""
        for frame in self._frames:
            kind = frame.WhichOneof("frame")
            if kind == "ping":
                self._outgoing.put(session_pb2.ClientFrame(pong=session_pb2.Pong(id=frame.ping.id)))
            if kind == "room_events":
                self._take(frame.room_events)
            if wanted(frame):
                return frame
        raise AssertionError("the stream ended")

    def wait_for_seq(self, room_id, seq):
        while self._position.get(room_id, 0) < seq:
            self.until(lambda frame: frame.WhichOneof("frame") == "room_events")

    def _take(self, batch):
        for event in batch.events:
            if event.position.seq <= self._position.get(batch.room_id, 0):
                continue  # The rule of the protocol: drop what one has.
            self._position[batch.room_id] = event.position.seq
            self.events.append(event)

    def cut(self):
        self._frames.cancel()
        self._outgoing.put(None)


def publish(session, room_id, key, text):
    body = message_pb2.Body(text=text)
    reply = session.request(
        publish=session_pb2.Publish(room_id=room_id, client_message_id=key, attempt=1, body=body)
    )
    assert reply.WhichOneof("frame") == "published", reply
    return reply.published


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


def main(address, token, room_id, friend):
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=DEADLINE_S)

        first = Session(channel, token, "python-1", 1)
        step("hello", user=first.welcome.user_id, session=bool(first.welcome.session_id))

        create = room_pb2.CreateRoomRequest(room_id=room_id, key="create", attempt=1)
        created = first.request(call=session_pb2.Call(create_room=create)).call_result.create_room
        step("create", seq=created.position.seq)

        subscribed = first.request(subscribe=session_pb2.Subscribe(room_id=room_id)).subscribed
        step("subscribe", top=subscribed.top.seq, outcome=subscribed.WhichOneof("outcome"))

        one = publish(first, room_id, "m1", "one")
        first.wait_for_seq(room_id, one.position.seq)
        last = first.events[-1]
        step("publish", seq=one.position.seq, text=last.message_created.body.text, same=last.event_id == one.message_id)

        first.cut()
        second = Session(channel, token, "python-2", 1)
        for key in ("m2", "m3"):
            publish(second, room_id, key, key)
        again = publish(second, room_id, "m1", "one")
        step("repeat", duplicate=again.duplicate, seq=again.position.seq)

        place = session_pb2.RoomPosition(room_id=room_id, after=last.position)
        resumed = Session(channel, token, "python-1", 2, [place])
        outcome = resumed.until(lambda frame: frame.WhichOneof("frame") == "subscribed").subscribed
        resumed.wait_for_seq(room_id, 4)
        texts = [event.message_created.body.text for event in resumed.events]
        step("resume", outcome=outcome.WhichOneof("outcome"), count=outcome.replaying.count, texts=texts)

        other = Session(channel, friend, "python-3", 1)
        join = room_pb2.AddMembersRequest(room_id=room_id, key="add", attempt=1)
        join.members.add(user_id=other.welcome.user_id)
        resumed.request(call=session_pb2.Call(add_members=join))
        watched = resumed.request(watch_presence=session_pb2.WatchPresence(user_ids=[other.welcome.user_id]))
        (there,) = watched.presence_snapshot.presences
        away = session_pb2.SetPresence(status=session_pb2.PRESENCE_STATUS_AWAY, text="lunch")
        set_presence = other.request(set_presence=away).WhichOneof("frame")
        changed = resumed.until(lambda frame: frame.WhichOneof("frame") == "presence_changes").presence_changes
        (now,) = changed.presences
        status = session_pb2.PresenceStatus.Name
        step("presence", before=status(there.status), set=set_presence, after=status(now.status), text=now.text)

        mark = other.request(mark=session_pb2.Mark(room_id=room_id, read=last.position)).WhichOneof("frame")
        asked = room_pb2.GetReceiptsRequest(room_id=room_id, message_id=one.message_id)
        receipts = resumed.request(call=session_pb2.Call(get_receipts=asked)).call_result.get_receipts.receipts
        step("receipts", mark=mark, read=[receipt.user_id for receipt in receipts if receipt.HasField("read_at")])

        other.cut()
        resumed.cut()
        second.cut()


if __name__ == "__main__":
    main(*sys.argv[2:])
