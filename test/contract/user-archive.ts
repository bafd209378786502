// What every archive promises of users' devices, and of when they were last online.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DeviceDocumentSchema } from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { LastSeenVisibility } from "../../src/gen/trunkline/v1/session_pb.js";
import { DEVICES_PER_USER, type DeviceChange, type UserArchive } from "../../src/ports/user-archive.js";

export interface UserArchiveSubject {
  readonly archive: UserArchive;
  close(): Promise<void>;
}

function change(userId: string, deviceId: string, lastSeenMs: number, name = ""): DeviceChange {
  const document = create(DeviceDocumentSchema, { device: { deviceId, name }, lastSeenMs });
  return { tenantId: "acme", userId, document };
}

export function describeUserArchive(name: string, open: () => Promise<UserArchiveSubject>): void {
  describe(`the archive of users of ${name}`, () => {
    const using = (test: (archive: UserArchive) => Promise<void>) => async () => {
      const subject = await open();
      try {
        await test(subject.archive);
      } finally {
        await subject.close();
      }
    };
    const ids = async (archive: UserArchive, userId: string) =>
      (await archive.devices("acme", userId)).map(({ device }) => device?.deviceId);

    it(
      "keeps each device once, as it was put last, of its own user alone",
      using(async (archive) => {
        await archive.putDevices([change("ann", "phone", 1), change("ann", "desk", 2), change("bob", "desk", 3)]);
        await archive.putDevices([change("ann", "phone", 4, "Phone")]);
        expect(await archive.devices("acme", "ann")).toMatchObject([
          { device: { deviceId: "desk" }, lastSeenMs: 2 },
          { device: { deviceId: "phone", name: "Phone" }, lastSeenMs: 4 },
        ]);
        expect(await ids(archive, "bob")).toEqual(["desk"]);
        expect(await archive.devices("other", "ann")).toEqual([]);
      }),
    );

    it(
      "lets go of the devices unseen for longest",
      using(async (archive) => {
        const many = Array.from({ length: DEVICES_PER_USER + 2 }, (_, index) =>
          change("ann", `d${index}`, 100 + index),
        );
        await archive.putDevices(many);
        expect(await ids(archive, "ann")).toHaveLength(DEVICES_PER_USER);
        await archive.putDevices([change("ann", "new", 1_000)]);
        const kept = await ids(archive, "ann");
        expect(kept).toHaveLength(DEVICES_PER_USER);
        expect(kept).toContain("new");
        for (const gone of ["d0", "d1", "d2"]) expect(kept).not.toContain(gone);
      }),
    );

    it(
      "keeps when users were last online and who is told, each unchanged by the other; times do not go back",
      using(async (archive) => {
        const ann = { tenantId: "acme", userId: "ann" };
        const first = archive.putLastSeen([{ ...ann, atMs: 5 }]);
        await archive.putLastSeen([
          { ...ann, visibility: LastSeenVisibility.NOBODY },
          { ...ann, atMs: 3 },
        ]);
        await first;
        expect(await archive.lastSeen("acme", ["bob", "ann"])).toMatchObject([
          undefined,
          { atMs: 5, visibility: LastSeenVisibility.NOBODY },
        ]);
      }),
    );
  });
}
