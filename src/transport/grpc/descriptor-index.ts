// The .proto files behind a set of services, found by name and by symbol, for reflection.

import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

export class DescriptorIndex {
  /** Full names of the services, sorted. */
  readonly services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  /** Made once: anybody may ask, and encoding them costs a millisecond or two. */
  readonly #encoded = new Map<DescFile, Uint8Array>();

  /** `files`: known beside those of the services. */
  constructor(services: readonly DescService[], files: readonly DescFile[]) {
    this.services = services.map((service) => service.typeName).sort();
    for (const service of services) this.#add(service.file);
    for (const file of files) this.#add(file);
  }

  /** The file with this path, e.g. `trunkline/v1/room.proto`, and all it imports, as FileDescriptorProto. */
  fileNamed(path: string): readonly Uint8Array[] | undefined {
    return this.#closure(this.#files.get(path));
  }

  /** The file that declares this message, enum, enum value, field, service or method, and all it imports. */
  fileOf(symbol: string): readonly Uint8Array[] | undefined {
    return this.#closure(this.#symbols.get(symbol));
  }

  /** Whether a message, enum, … of this full name is known. */
  has(symbol: string): boolean {
    return this.#symbols.has(symbol);
  }

  #add(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      const { typeName } = type;
      this.#symbols.set(typeName, file);
      if (type.kind === "message") for (const { name } of type.fields) this.#symbols.set(`${typeName}.${name}`, file);
      if (type.kind === "service") for (const { name } of type.methods) this.#symbols.set(`${typeName}.${name}`, file);
    }
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  /** A file and its imports, each once, imports first: some clients resolve in the order given. */
  #closure(file: DescFile | undefined): readonly Uint8Array[] | undefined {
    if (file === undefined) return undefined;
    const found = new Set<DescFile>();
    const visit = (each: DescFile) => {
      if (found.has(each)) return;
      for (const dependency of each.dependencies) visit(dependency);
      found.add(each);
    };
    visit(file);
    return [...found].map((each) => this.#encode(each));
  }

  #encode(file: DescFile): Uint8Array {
    const encoded = this.#encoded.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    this.#encoded.set(file, encoded);
    return encoded;
  }
}
