/** Publishing, each publish confirmed. */
import { flushedMessages } from "../limits/disk.ts";
import { measured, storedBytes, until } from "../measure.ts";
import { verify, type Workload } from "./workload.ts";

const bytes = 256;
const measureS = 3;

export const publish = (inFlight: number): Workload => publishing(`publish-${inFlight}`, inFlight, false);

/** As many as Dogear remembers, and some: from then on it forgets one for each new one. */
const idsBefore = 1_200_000;
const idsSeconds = 20;

export const publishIds: Workload = publishing("publish-ids", 4_096, true);

function publishing(name: string, inFlight: number, ids: boolean): Workload {
  const before = `after ${idsBefore} of the same or as many as there are in ${idsSeconds} s`;
  const what = ids ? `, each with an id of its own and confirmed, ${before}` : ", each confirmed";
  return {
    name,
    says: `publishes of ${bytes} bytes${what}, ${inFlight} in flight over one connection`,
    needs: ids ? ["acknowledges", "ids"] : ["acknowledges"],
    limits: inFlight === 1 ? ["durable commits/s"] : [flushedMessages],
    async run({ running: { client, pids, folder }, size }) {
      const stored = storedBytes(folder);
      const channel = () => "bench.publish";
      const publisher = await client.publisher({ name: "publisher", channel, bytes, inFlight, ids });
      const acknowledged = () => publisher.acknowledged;
      if (ids) await measured(pids, acknowledged, [0, idsSeconds], () => publisher.acknowledged >= size(idsBefore));
      const { perSecond, load } = await measured(pids, acknowledged, [1, measureS]);
      publisher.stop();
      await until(() => publisher.acknowledged === publisher.sent, "the last acknowledgements");
      verify([], [publisher]);
      const perMessage = (storedBytes(folder) - stored) / publisher.acknowledged;
      publisher.close();
      const of = inFlight === 1 ? "durable commits/s" : flushedMessages;
      return {
        "acks/s": { value: perSecond, unit: "acks/s", of },
        ...load,
        "bytes/message": { value: perMessage, unit: "bytes" },
      };
    },
  };
}
