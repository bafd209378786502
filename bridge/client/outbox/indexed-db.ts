// Changes that wait over a reload, in the browser's database: one for all tabs of an origin. What was written stays on the machine until it was
// sent, was given up, or the browser's data are cleared.

import type { OutboxStorage, StoredChange } from "./storage.js";

/** What of IndexedDB is used. */
interface Request<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}
interface Store {
  getAll(range: unknown): Request<readonly StoredChange[]>;
  get(key: readonly string[]): Request<StoredChange | undefined>;
  put(value: StoredChange): Request<void>;
  delete(key: readonly string[]): Request<void>;
}
interface Transaction {
  objectStore(name: string): Store;
  commit?(): void;
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
}
interface Database {
  transaction(store: string, mode: "readonly" | "readwrite"): Transaction;
  createObjectStore(name: string, options: { readonly keyPath: readonly string[] }): unknown;
  close(): void;
  onclose: (() => void) | null;
  onversionchange: (() => void) | null;
}
interface OpenRequest extends Request<Database> {
  onupgradeneeded: (() => void) | null;
}
interface Surroundings {
  readonly indexedDB: { open(name: string, version: number): OpenRequest };
  readonly IDBKeyRange?: { bound(from: unknown, to: unknown): unknown };
}

const VERSION = 1;
const STORE = "changes";

/** Undefined where there is no IndexedDB, as in Node. @param name The database's; default "trunkline-outbox". */
export function indexedDbStorage(name = "trunkline-outbox"): OutboxStorage | undefined {
  const world: object = globalThis;
  const around = world as Surroundings;
  const { IDBKeyRange } = around;
  if (IDBKeyRange === undefined) return undefined;
  let opened: Promise<Database> | undefined;

  const open = (): Promise<Database> => {
    // One that could not be opened, or was closed by the browser, is opened again by whoever asks next.
    opened ??= new Promise<Database>((resolve, reject) => {
      // Where it is forbidden, some browsers throw as soon as it is looked at.
      const request = around.indexedDB.open(name, VERSION);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ["owner", "id"] });
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const database = request.result;
        database.onclose = forget;
        database.onversionchange = () => {
          forget();
          database.close();
        };
        resolve(database);
      };
    }).catch((error: unknown) => {
      forget();
      throw error;
    });
    return opened;
  };
  const forget = (): void => {
    opened = undefined;
  };
  const run = async <T>(mode: "readonly" | "readwrite", ask: (store: Store) => Request<T>): Promise<T> => {
    const database = await open();
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = ask(transaction.objectStore(STORE));
      // It is written even if the page is left now: to be committed by itself it would have to hear of the request's end.
      transaction.commit?.();
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? request.error);
    });
  };

  return {
    // An array sorts after every text.
    load: (owner) => run("readonly", (store) => store.getAll(IDBKeyRange.bound([owner], [owner, []]))),
    get: (owner, id) => run("readonly", (store) => store.get([owner, id])),
    put: (change) => run("readwrite", (store) => store.put(change)),
    remove: (owner, id) => run("readwrite", (store) => store.delete([owner, id])),
  };
}
