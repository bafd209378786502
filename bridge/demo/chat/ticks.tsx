// How far an own message has come: on its way, stored, delivered, read.

const TICK = "m3 8.500 3 3 6.500-7";
const TWO_TICKS = "m1 8.500 3 3 6.500-7M7.500 11.200l.3.3 6.500-7";
const CLOCK = "M8 4.500V8l2.500 1.500M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z";

const TICKS: Readonly<Record<string, readonly [text: string, path: string]>> = {
  pending: ["waiting to be sent", CLOCK],
  sent: ["sent", TICK],
  delivered: ["delivered", TWO_TICKS],
  read: ["read", TWO_TICKS],
};

/** @param receipt "pending", "sent", "delivered" or "read"; among several others with by how many: "read 2". */
export function Ticks({ receipt }: { readonly receipt: string }) {
  const [status = "sent", count] = receipt.split(" ");
  const [text, path] = TICKS[status] ?? ["sent", TICK];
  const label = count === undefined ? text : `${text} by ${count}`;
  return (
    <span class={`ticks ${status}`} role="img" aria-label={label} title={label}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
        <path d={path} />
      </svg>
    </span>
  );
}
