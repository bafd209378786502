"""A backend service: tells users something, and says what has become of it.

TRUNKLINE_TOKEN holds a token with the grant service; the stubs are made as README.md says. Run it again with the
same words: nobody is told twice, and it says how far they have come since.

usage: notify.py HOST:PORT TEXT USER...
"""
import os, sys, uuid  # noqa: E401

import grpc
from trunkline.v1 import delivery_pb2 as v1, delivery_pb2_grpc, message_pb2

address, text, *users = sys.argv[1:]
metadata = [("authorization", f"Bearer {os.environ['TRUNKLINE_TOKEN']}")]
with grpc.insecure_channel(address) as channel:
    delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, text))  # The same words, the same key: stored once per user.
    body = message_pb2.Body(text=text)
    request = v1.SendToUsersRequest(user_ids=users, key=key, body=body, attempt=1)
    for result in delivery.SendToUsers(request, metadata=metadata).results:
        if result.error_reason:
            print(f"{result.user_id}: {result.error_reason}")
            continue
        message = v1.GetDeliveryStatusRequest(room_id=result.room_id, message_id=result.message_id)
        for member in delivery.GetDeliveryStatus(message, metadata=metadata).members:
            steps = [step for step in ("stored", "delivered", "read") if member.HasField(f"{step}_at")]
            print(f"{member.user_id}: {', '.join(steps)}")
