/** What is left of an environment that was closed: segments come and go by the hundred thousand. */
import { join } from "node:path";
import * as lmdb from "lmdb";
import { expect, test } from "vitest";
import { closeEnvironment, openEnvironment } from "../../server/src/engine/lmdb/environment.ts";
import { temporaryFolder } from "../support/temp.ts";

/** What lmdb-js knows of databases; its types leave it out. */
const { allDbs } = lmdb as unknown as { readonly allDbs: Map<string, unknown> };

test("nothing is remembered of an environment that was closed, and all of those that are open (G12)", async () => {
  const before = new Set(allDbs.keys());
  const added = () => [...allDbs.keys()].filter((name) => !before.has(name));
  const folder = temporaryFolder();
  const [one, other] = ["one", "other"].map((name) => openEnvironment(join(folder, name)));
  for (const environment of [one, other]) environment?.openDB({ name: "records" });
  expect(added()).toHaveLength(4);
  await closeEnvironment(one as ReturnType<typeof openEnvironment>);
  expect(added()).toEqual(["other", "other-records"]);
  await closeEnvironment(other as ReturnType<typeof openEnvironment>);
  expect(added()).toEqual([]);
});
