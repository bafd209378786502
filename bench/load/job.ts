// What a load generator can be asked to do, and how it answers.

import { type ArchiveInput, type ArchiveOutcome, runArchive } from "./archive.js";
import { type ChannelInput, type ChannelOutcome, runChannel } from "./channel.js";
import { type CrossingInput, type CrossingOutcome, runCrossing } from "./crossing.js";
import { type DrainInput, runDrain } from "./drain.js";
import { type PeerDrainInput, runPeerDrain } from "./drain-peer.js";
import { type FanoutOutcome, runFanout } from "./fanout.js";
import type { FanoutInput } from "./fanout-room.js";
import { type IngestOutcome, runIngest } from "./ingest.js";
import type { IngestInput } from "./ingest-sessions.js";
import {
  type LeasesOutcome,
  type NodeLeasesInput,
  type OtherLeasesInput,
  runLeases,
  runOtherLeases,
} from "./leases.js";
import { type MemoryInput, type MemoryOutcome, runMemory } from "./memory.js";
import { type PresenceInput, type PresenceOutcome, runPresence } from "./presence.js";
import { type PublishInput, type PublishOutcome, runPublish } from "./publish.js";
import { type ReceiptsInput, type ReceiptsOutcome, runReceipts } from "./receipts.js";
import { type ReceiveInput, type ReceiveOutcome, runReceive } from "./receive.js";
import { type ReconnectInput, type ReconnectOutcome, runReconnect } from "./reconnect.js";
import type { RestartOutcome } from "./restart-figures.js";
import { type ResumeInput, type ResumeOutcome, runResume } from "./resume.js";
import { runService, type ServiceInput, type ServiceOutcome } from "./service.js";
import { runSilence, type SilenceInput, type SilenceOutcome } from "./silence.js";
import { runTyping, type TypingInput, type TypingOutcome } from "./typing.js";

/** Per kind of job, what it takes and what comes of it. */
export interface Jobs {
  readonly archive: { readonly input: ArchiveInput; readonly outcome: ArchiveOutcome };
  readonly channel: { readonly input: ChannelInput; readonly outcome: ChannelOutcome };
  readonly crossing: { readonly input: CrossingInput; readonly outcome: CrossingOutcome };
  readonly drain: { readonly input: DrainInput; readonly outcome: RestartOutcome };
  readonly "drain peer": { readonly input: PeerDrainInput; readonly outcome: RestartOutcome };
  readonly fanout: { readonly input: FanoutInput; readonly outcome: readonly FanoutOutcome[] };
  readonly ingest: { readonly input: IngestInput; readonly outcome: IngestOutcome };
  readonly leases: { readonly input: NodeLeasesInput; readonly outcome: LeasesOutcome };
  readonly "other leases": { readonly input: OtherLeasesInput; readonly outcome: undefined };
  readonly publish: { readonly input: PublishInput; readonly outcome: PublishOutcome };
  readonly memory: { readonly input: MemoryInput; readonly outcome: MemoryOutcome };
  readonly presence: { readonly input: PresenceInput; readonly outcome: PresenceOutcome };
  readonly receipts: { readonly input: ReceiptsInput; readonly outcome: ReceiptsOutcome };
  readonly receive: { readonly input: ReceiveInput; readonly outcome: ReceiveOutcome };
  readonly reconnect: { readonly input: ReconnectInput; readonly outcome: ReconnectOutcome };
  readonly resume: { readonly input: ResumeInput; readonly outcome: ResumeOutcome };
  readonly service: { readonly input: ServiceInput; readonly outcome: ServiceOutcome };
  readonly silence: { readonly input: SilenceInput; readonly outcome: SilenceOutcome };
  readonly typing: { readonly input: TypingInput; readonly outcome: TypingOutcome };
}

export type JobKind = keyof Jobs;
export type Job = { readonly [K in JobKind]: { readonly kind: K; readonly input: Jobs[K]["input"] } }[JobKind];

export type Answer<Outcome> =
  | { readonly ok: true; readonly outcome: Outcome }
  | { readonly ok: false; readonly reason: string };

/** Does one job. */
export function run(job: Job): Promise<Jobs[JobKind]["outcome"]> {
  switch (job.kind) {
    case "archive":
      return runArchive(job.input);
    case "channel":
      return runChannel(job.input);
    case "crossing":
      return runCrossing(job.input);
    case "drain":
      return runDrain(job.input);
    case "drain peer":
      return runPeerDrain(job.input);
    case "fanout":
      return runFanout(job.input);
    case "ingest":
      return runIngest(job.input);
    case "leases":
      return runLeases(job.input);
    case "other leases":
      return runOtherLeases(job.input);
    case "publish":
      return runPublish(job.input);
    case "memory":
      return runMemory(job.input);
    case "presence":
      return runPresence(job.input);
    case "receipts":
      return runReceipts(job.input);
    case "receive":
      return runReceive(job.input);
    case "reconnect":
      return runReconnect(job.input);
    case "resume":
      return runResume(job.input);
    case "service":
      return runService(job.input);
    case "silence":
      return runSilence(job.input);
    case "typing":
      return runTyping(job.input);
  }
}
