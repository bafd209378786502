#!/usr/bin/env bash
# The whole protocol from a shell. usage: TRUNKLINE_TOKEN=… examples/grpcurl.sh [HOST:PORT [ROOM]]
# The server describes itself, so no .proto files are needed.
set -euo pipefail
address="${1:-127.0.0.1:9090}"
room="${2:-lobby}"
grpcurl="${GRPCURL:-grpcurl}"
token="${TRUNKLINE_TOKEN:?a token; in development: npx trunkline token --user ann}"
call() { "$grpcurl" -plaintext -H "authorization: Bearer $token" "$@"; }

echo "# What there is"
"$grpcurl" -plaintext "$address" list

echo "# Create a room that anybody may join; repeated under the same key it is created once"
call -d "{\"roomId\": \"$room\", \"key\": \"create-$room\", \"joinRule\": \"JOIN_RULE_OPEN\"}" \
  "$address" trunkline.v1.RoomService/CreateRoom

echo "# A session: hello, publish; it ends when its input has ended and all is answered"
{
  echo '{"ref": 1, "hello": {"device": {"deviceId": "shell-'$$'"}, "attempt": 1, "protocol": 1}}'
  echo '{"ref": 2, "publish": {"roomId": "'"$room"'", "clientMessageId": "hello-'$$'", "attempt": 1, "body": {"text": "hello from a shell"}}}'
} | call -d @ "$address" trunkline.v1.SessionService/Connect

echo "# What was said"
call -d "{\"roomId\": \"$room\"}" "$address" trunkline.v1.RoomService/GetHistory
