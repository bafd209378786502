// How long answers take.

const WIDTH = 240;
const HEIGHT = 36;
/** The least that the height of the curve stands for. */
const LEAST_MS = 5;

export function RoundTrips({ times }: { readonly times: readonly number[] }) {
  const last = times.at(-1);
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const most = Math.max(sorted.at(-1) ?? 0, LEAST_MS);
  const points = times.map((time, index) => {
    const x = (index / Math.max(times.length - 1, 1)) * WIDTH;
    return `${x.toFixed(1)},${(HEIGHT - 2 - (time / most) * (HEIGHT - 4)).toFixed(1)}`;
  });
  return (
    <section aria-label="Round trips">
      <h3>Round trip</h3>
      {last === undefined ? (
        <p class="muted small">Nothing was asked yet.</p>
      ) : (
        <>
          <p class="figures-line">
            <strong>{msOf(last)}</strong>
            <span class="muted small">
              median {msOf(middle)}, most {msOf(sorted.at(-1) ?? 0)}, of the last {times.length} answers
            </span>
          </p>
          <svg class="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
            <polyline points={points.join(" ")} />
          </svg>
        </>
      )}
    </section>
  );
}

export function msOf(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
