/** Connections that do nothing. */
import { residentBytes, seconds } from "../measure.ts";
import { close, type Seat, seats, verify, type Workload } from "./workload.ts";

/** The first pay for what is shared. */
const counts = [500, 1_000, 5_000, 15_000] as const;

export const idle: Workload = {
  name: "idle",
  says: `resident memory with ${counts.slice(1).join(", ")} idle connections, with a subscription each where there are any: the slope`,
  needs: [],
  limits: [],
  async run(stage) {
    const { pids } = stage.running;
    const all: Seat[] = [];
    const points: (readonly [connections: number, bytes: number])[] = [];
    for (const most of counts) {
      const count = stage.size(most);
      const base = all.length;
      const more = await seats(stage, count - base, (i) => ({
        channel: `bench.idle.${base + i}`,
        from: "latest",
      }));
      for (const seat of more) all.push(seat);
      await seconds(1);
      points.push([count, pids.reduce((sum, pid) => sum + residentBytes(pid), 0)]);
    }
    verify(all);
    close(all);
    const atMost = points.at(-1)?.[1] ?? Number.NaN;
    return {
      "KB/connection": { value: slope(points) / 1_024, unit: "KB" },
      [`server MB with ${counts.at(-1)}`]: { value: atMost / 2 ** 20, unit: "MB" },
    };
  },
};

/** By least squares. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const [over, under] = points.reduce(
    ([a, b], point) => [a + (point[0] - x) * (point[1] - y), b + (point[0] - x) ** 2],
    [0, 0],
  );
  return over / under;
}
