// A promise that did not hold.

export type ViolationKind =
  | "lost"
  | "doubled"
  | "reordered"
  | "phantom"
  | "hole"
  | "different"
  | "taken back"
  | "not permitted"
  | "wrong outcome"
  | "not answered"
  | "not as logged"
  | "stale"
  | "not healed"
  | "grown";

export class Violation extends Error {
  override readonly name = "Violation";
  readonly kind: ViolationKind;

  constructor(kind: ViolationKind, what: string) {
    super(`${kind}: ${what}`);
    this.kind = kind;
  }
}
