/** Publishing, each publish confirmed. */
import { flushedMessages } from "../limits/disk.ts";
import { measured, storedBytes, until } from "../measure.ts";
import { verify, type Workload } from "./workload.ts";

const bytes = 256;

export const publish = (inFlight: number): Workload => ({
  name: `publish-${inFlight}`,
  says: `publishes of ${bytes} bytes, each confirmed, ${inFlight} in flight over one connection`,
  needs: ["acknowledges"],
  limits: inFlight === 1 ? ["durable commits/s"] : [flushedMessages],
  async run({ running: { client, pids, folder } }) {
    const stored = storedBytes(folder);
    const channel = () => "bench.publish";
    const publisher = await client.publisher({ name: "publisher", channel, bytes, inFlight });
    const { perSecond, load } = await measured(pids, () => publisher.acknowledged, [1, 4]);
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
});
