// The Java programs that tests run: fetched once with Maven, kept beside the other tools of the tests.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./process.js";
import { repositoryPath } from "./repository.js";

const CACHE = repositoryPath(".ci/.cache/services/");
const FETCH_DEADLINE_MS = 300_000;

/** The directory with all jars that the pom of this name asks for. Rejects where they are not there and cannot be fetched. */
export async function jars(name: "kafka" | "mongo"): Promise<string> {
  const pom = repositoryPath(`test/support/services/${name}/pom.xml`);
  const wanted = await readFile(pom, "utf8");
  const directory = join(CACHE, name);
  const stamp = join(directory, "pom.xml");
  const had = await readFile(stamp, "utf8").catch(() => "");
  if (had === wanted) return directory;
  // Beside, then renamed: who looks meanwhile finds all of them or none.
  const fresh = `${directory}.${process.pid}`;
  await mkdir(fresh, { recursive: true });
  const goals = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${fresh}`];
  await run("mvn", ["-q", "-B", "-f", pom, ...goals], { timeout: FETCH_DEADLINE_MS });
  await writeFile(join(fresh, "pom.xml"), wanted);
  await rm(directory, { recursive: true, force: true });
  await rename(fresh, directory);
  return directory;
}
