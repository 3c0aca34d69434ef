import { simulate } from "./world.ts";

const from = Number(process.argv[2] ?? 1),
  count = Number(process.argv[3] ?? 10);
let seed = from;
process.on("unhandledRejection", (e) => console.log("UNHANDLED", seed, e));
const t0 = Date.now();
let events = 0;
let bad = 0;
for (; seed < from + count; seed++) {
  const o = await simulate(seed, process.env.WATCH ? { watch: (w) => console.log(w) } : {});
  events += o.history.length;
  if (o.wrong) {
    bad++;
    console.log(`SEED ${seed} ${o.mode} ${o.circumstances.join(", ")}\n${o.wrong.slice(0, 3000)}\n`);
  }
}
console.log(`${count} seeds, ${bad} bad, ${events} events, ${Date.now() - t0} ms`);
