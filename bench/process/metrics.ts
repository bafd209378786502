// What a server's /metrics says.

/** The text of /metrics at a port of this machine; undefined: the server was not asked to serve any. */
export async function metricsOf(port: number | undefined): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!response.ok) throw new Error(`a server's metrics: ${response.status}`);
  return await response.text();
}

/** The value of a metric without labels. */
export function metricIn(metrics: string, name: string): number {
  const found = new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1];
  if (found === undefined) throw new Error(`there is no metric ${name}`);
  return Number(found);
}
