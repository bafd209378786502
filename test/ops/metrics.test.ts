// The figures a scrape gets.

import { expect, onTestFinished, test } from "vitest";
import { Telemetry } from "../../src/core/telemetry.js";
import { createBridgeMetrics, createMetrics } from "../../src/ops/metrics.js";
import { startMetricsServer } from "../../src/ops/metrics-server.js";
import { ErrorCode } from "../../src/ports/error.js";

function useMetrics() {
  const telemetry = new Telemetry();
  const metrics = createMetrics(telemetry, () => 0.25);
  onTestFinished(() => metrics.stop());
  return { telemetry, metrics };
}

test.each([
  ["a node's", () => createMetrics(new Telemetry(), () => 0)],
  ["a bridge's", () => createBridgeMetrics(new Telemetry(), () => 0, { size: 0, staying: 0 })],
])("%s scrape tells of the process, and lists no sockets", async (_, create) => {
  const metrics = create();
  onTestFinished(() => metrics.stop());
  const text = await metrics.scrape();
  expect(text).toContain("process_cpu_seconds_total ");
  expect(text).toContain("nodejs_heap_size_used_bytes ");
  expect(text).not.toContain("nodejs_active_");
});

test("a bridge's figures tell connections with a session from those that stay without one", async () => {
  const metrics = createBridgeMetrics(new Telemetry(), () => 0, { size: 5, staying: 3 });
  onTestFinished(() => metrics.stop());
  const text = await metrics.scrape();
  expect(text).toContain("trunkline_link_sessions 5\n");
  expect(text).toContain("trunkline_link_connections_staying 3\n");
});

test("the core's events become figures", async () => {
  const { telemetry, metrics } = useMetrics();
  const session = { sessionId: "s", tenantId: "t", userId: "u" };
  telemetry.emit("session.opened", { ...session, transport: "grpc" });
  telemetry.emit("session.opened", { ...session, transport: "websocket" });
  telemetry.emit("session.closed", { ...session, code: 4001, reason: "slow" });
  telemetry.emit("request.refused", { operation: "publish", code: ErrorCode.RATE_LIMITED, message: "" });
  telemetry.emit("limit.refused", { scope: "user", operation: "publish" });
  telemetry.emit("quota.refused", { quota: "members_per_room", tenantId: "t" });
  telemetry.emit("session.abusive", session);
  telemetry.emit("log.appended", { shard: 1, events: 3, bytes: 600, waitMs: 2 });
  telemetry.emit("fanout.flushed", { events: 3, recipients: 100 });
  telemetry.emit("fanout.window", { windowMs: 10, load: 0.7 });
  telemetry.emit("hook.answered", { hook: "publish", answer: "refuse", tookMs: 20 });
  telemetry.emit("hook.failed", { hook: "publish", fault: "no-answer", letThrough: false, cause: undefined });
  telemetry.emit("hook.turned", { hook: "publish", away: true });
  const outlet = "events.orders";
  telemetry.emit("follower.lost", { follower: outlet, shard: 1, from: 10, to: 14 });
  telemetry.emit("outlet.sent", { outlet, count: 3, lagMs: 5 });
  telemetry.emit("outlet.failed", { outlet, tries: 1, cause: undefined });
  telemetry.emit("outlet.parked", { outlet, parked: 2 });
  telemetry.emit("outlet.buried", { outlet, roomId: "r", tries: 9, cause: undefined });
  telemetry.emit("archive.refused", {
    collection: "events",
    tenantId: "acme",
    roomId: "r",
    seq: 1,
    cause: new Error("x"),
  });
  telemetry.emit("peer.turned", { nodeId: "two.1", away: true });
  telemetry.emit("peer.turned", { nodeId: "three.1", away: true });
  telemetry.emit("peer.turned", { nodeId: "three.1", away: false });
  telemetry.emit("inbound.taken", { partition: 3 });
  telemetry.emit("inbound.buried", { partition: 3, offset: 9, code: ErrorCode.NOT_FOUND, message: "no" });
  telemetry.emit("inbound.held", { partition: 3, offset: 10, tries: 1, cause: undefined });
  telemetry.emit("inbound.lag", { partition: 3, records: 7 });
  telemetry.emit("inbound.failed", { cause: undefined });
  telemetry.emit("outlet.advanced", { outlet, shard: 0, lagMs: 1_500 });
  const text = await metrics.scrape();
  for (const line of [
    "trunkline_sessions 1",
    'trunkline_sessions_opened_total{transport="grpc"} 1',
    'trunkline_sessions_closed_total{code="4001"} 1',
    'trunkline_requests_refused_total{operation="publish",code="RATE_LIMITED"} 1',
    'trunkline_rate_limited_total{scope="user",operation="publish"} 1',
    'trunkline_quota_refused_total{quota="members_per_room"} 1',
    "trunkline_sessions_abusive_total 1",
    "trunkline_events_stored_total 3",
    "trunkline_stored_bytes_total 600",
    "trunkline_append_seconds_count 1",
    "trunkline_deliveries_total 300",
    "trunkline_fanout_window_seconds 0.01",
    "trunkline_event_loop_utilization 0.25",
    'trunkline_hook_answers_total{hook="publish",answer="refuse"} 1',
    'trunkline_hook_seconds_count{hook="publish"} 1',
    'trunkline_follower_lost_total{follower="events.orders"} 4',
    'trunkline_hook_failures_total{hook="publish",fault="no-answer",outcome="refused"} 1',
    'trunkline_hook_away{hook="publish"} 1',
    'trunkline_archive_refused_total{collection="events"} 1',
    'trunkline_peer_away{node="two.1"} 1',
    "trunkline_inbound_taken_total 1",
    'trunkline_inbound_dead_letters_total{code="NOT_FOUND"} 1',
    "trunkline_inbound_held_total 1",
    'trunkline_inbound_lag{partition="3"} 7',
    "trunkline_inbound_failures_total 1",
    'trunkline_outlet_sent_total{outlet="events.orders"} 3',
    'trunkline_outlet_failures_total{outlet="events.orders"} 1',
    'trunkline_outlet_parked{outlet="events.orders"} 2',
    'trunkline_outlet_dead_letters_total{outlet="events.orders"} 1',
    'trunkline_outlet_lag_seconds{outlet="events.orders"} 1.5',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).not.toContain('node="three.1"');
  expect(text).toContain("process_resident_memory_bytes");
});

test("two registries in one process do not mix", async () => {
  const [one, other] = [useMetrics(), useMetrics()];
  one.telemetry.emit("log.appended", { shard: 0, events: 1, bytes: 1, waitMs: 1 });
  expect(await other.metrics.scrape()).toContain("trunkline_events_stored_total 0");
});

test("they are served at /metrics and nothing else is", async () => {
  const { metrics } = useMetrics();
  const server = await startMetricsServer(metrics, "127.0.0.1", 0);
  onTestFinished(() => server.close());
  const answer = await fetch(`http://${server.address}/metrics`);
  expect(answer.headers.get("content-type")).toContain("text/plain");
  expect(await answer.text()).toContain("trunkline_sessions 0");
  expect((await fetch(`http://${server.address}/`)).status).toBe(404);
  expect((await fetch(`http://${server.address}/metrics`, { method: "POST" })).status).toBe(404);
});

test("a port in use is refused with the system's error", async () => {
  const { metrics } = useMetrics();
  const server = await startMetricsServer(metrics, "127.0.0.1", 0);
  onTestFinished(() => server.close());
  const port = Number(server.address.split(":").at(-1));
  await expect(startMetricsServer(metrics, "127.0.0.1", port)).rejects.toMatchObject({ code: "EADDRINUSE" });
});
