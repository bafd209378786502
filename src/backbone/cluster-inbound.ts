// Commands of other services by Kafka: what becomes of them is told as the node's other events are.

import type { InboundListener } from "../adapters/cluster/inbound/inbound-event.js";
import { type InboundOptions, openInbound } from "../adapters/cluster/open-inbound.js";
import type { Telemetry } from "../core/telemetry.js";
import { awaitDependency, type DependencyWait } from "./dependency.js";
import type { Engine } from "./engine.js";
import type { StartedParts } from "./started-parts.js";

/** Opens the topics, and reads. */
export function inboundOf(
  options: Omit<InboundOptions, "door" | "clock" | "observe">,
  { telemetry, parts }: { readonly telemetry: Telemetry; readonly parts: StartedParts },
  wait: DependencyWait,
): NonNullable<Engine["openInbound"]> {
  const observe = telling(telemetry);
  const { clock } = wait;
  return async (door) => {
    const inbound = await awaitDependency("Kafka", wait, () => openInbound({ ...options, door, clock, observe }));
    parts.add("inbound", () => inbound.close());
  };
}

function telling(telemetry: Telemetry): InboundListener {
  return (event) => {
    switch (event.is) {
      case "taken":
        telemetry.emit("inbound.taken", { partition: event.partition });
        return;
      case "buried": {
        const { partition, offset, error } = event;
        telemetry.emit("inbound.buried", { partition, offset, code: error.code, message: error.message });
        return;
      }
      case "held": {
        const { partition, offset, tries, cause } = event;
        telemetry.emit("inbound.held", { partition, offset, tries, cause });
        return;
      }
      case "lag":
        telemetry.emit("inbound.lag", { partition: event.partition, records: event.records });
        return;
      case "failed":
        telemetry.emit("inbound.failed", { cause: event.cause });
    }
  };
}
