/**
 * What goes wrong. Each seed switches some of it off, because strong faults hide the rare interleavings of weak ones (swarm
 * testing, Groce et al., ISSTA 2012).
 */

import { sound } from "./disk.ts";
import type { SimulatedHub } from "./hubs.ts";
import type { Link } from "./network.ts";
import { fair } from "./network.ts";
import type { Process, Role } from "./process.ts";
import type { World } from "./world.ts";

interface Fault {
  /** On average it comes once in so many milliseconds. */
  readonly everyMs: number;
  /** Whether it makes sense where there are several hubs, and where there is one. */
  readonly hubs?: "one" | "several";
  strike(world: World): void;
}

export const faults: Readonly<Record<string, Fault>> = {
  "cut a connection": { everyMs: 700, strike: (world) => onLink(world, (link) => link.cut()) },
  "cut all connections": {
    everyMs: 8_000,
    strike: ({ network }) => {
      for (const link of [...network.links]) link.cut();
    },
  },
  "half-open": {
    everyMs: 2_000,
    strike: (world) =>
      onLink(world, (link) => {
        const directions = world.timeline.pick([["to-hub"], ["to-client"], ["to-hub", "to-client"]] as const);
        for (const direction of directions) link.lose(direction);
      }),
  },
  "mangle a message": {
    everyMs: 4_000,
    strike: (world) => onLink(world, (link) => link.mangle()),
  },
  "slow network": {
    everyMs: 6_000,
    strike: (world) => {
      world.network.weather.delayMsMax = world.timeline.between(20, 2_000);
      calm(world, () => {
        world.network.weather.delayMsMax = fair.delayMsMax;
      });
    },
  },
  "refused connections": {
    everyMs: 6_000,
    strike: (world) => {
      Object.assign(world.network.weather, { refused: 0.5, hung: 0.3 });
      calm(world, () => Object.assign(world.network.weather, { refused: 0, hung: 0 }));
    },
  },
  "kill a client": {
    everyMs: 2_500,
    strike: (world) => {
      const role = world.timeline.pick(world.roles);
      role.crash();
      world.timeline.after(world.timeline.random() * 1_000, () => role.processes.length === 0 && role.start());
    },
  },
  "start a client twice": {
    everyMs: 8_000,
    strike: (world) => {
      const role: Role | undefined = world.timeline.pick(world.roles);
      if (role.processes.length < 2) role.start();
    },
  },
  "freeze a client": {
    everyMs: 4_000,
    strike: (world) =>
      onProcess(world, (process) => {
        process.freeze();
        world.timeline.after(world.timeline.between(100, 12_000), () => process.wake());
      }),
  },
  "kill a hub": {
    everyMs: 5_000,
    strike: (world) => {
      const hub = anyHub(world);
      hub.crash({ silently: world.timeline.chance(0.3) });
      world.timeline.after(world.timeline.random() * 3_000, () => hub.start());
    },
  },
  "stop a hub": {
    everyMs: 8_000,
    strike: (world) => {
      const hub = anyHub(world);
      void hub.stop().then(() => world.timeline.after(world.timeline.random() * 2_000, () => hub.start()));
    },
  },
  "freeze a hub": {
    everyMs: 8_000,
    strike: (world) => {
      const { machine } = anyHub(world);
      machine?.freeze();
      world.timeline.after(world.timeline.between(100, 9_000), () => machine?.thaw());
    },
  },
  "full disk": {
    everyMs: 8_000,
    hubs: "one",
    strike: (world) => {
      world.disk.condition.full = true;
      calm(world, () => {
        world.disk.condition.full = false;
      });
    },
  },
  "failing disk": {
    everyMs: 6_000,
    hubs: "one",
    strike: (world) => {
      world.disk.condition.failing = 0.05;
      calm(world, () => {
        world.disk.condition.failing = 0;
      });
    },
  },
  "slow disk": {
    everyMs: 6_000,
    strike: (world) => {
      Object.assign(world.disk.condition, { writeMsMax: world.timeline.between(50, 1_500), readMsMax: 20 });
      calm(world, () =>
        Object.assign(world.disk.condition, { writeMsMax: sound.writeMsMax, readMsMax: sound.readMsMax }),
      );
    },
  },
  "unavailable engine": {
    everyMs: 5_000,
    hubs: "several",
    strike: (world) => {
      world.disk.condition.unavailable = world.timeline.pick([0.1, 0.5, 1]);
      calm(world, () => {
        world.disk.condition.unavailable = 0;
      });
    },
  },
  "isolate a hub": {
    everyMs: 7_000,
    hubs: "several",
    strike: (world) => {
      const { machine } = anyHub(world);
      if (machine === undefined) return;
      const { isolated } = world.site.exchange;
      isolated.add(machine);
      world.timeline.after(world.timeline.between(500, 9_000), () => isolated.delete(machine));
    },
  },
  "lose words between hubs": {
    everyMs: 6_000,
    hubs: "several",
    strike: (world) => {
      world.site.exchange.loss = 0.1;
      calm(world, () => {
        world.site.exchange.loss = 0;
      });
    },
  },
  "clock of a client jumps": {
    everyMs: 5_000,
    strike: (world) =>
      onProcess(world, ({ machine }) => {
        machine.skewMs += world.timeline.between(-60_000, 60_000);
      }),
  },
  "clock of a hub jumps": {
    everyMs: 8_000,
    hubs: "one",
    strike: (world) => {
      const { machine } = anyHub(world);
      if (machine !== undefined) machine.skewMs += world.timeline.between(-4_000, 8_000);
    },
  },
  "tokens are not to be had": {
    everyMs: 6_000,
    strike: (world) => {
      if (world.tokens === undefined) return;
      world.tokens.failing = 0.7;
      calm(world, () => {
        if (world.tokens !== undefined) world.tokens.failing = 0;
      });
    },
  },
};

/** Switches on what this seed has, until `heal`. */
export function beginFaults(world: World): string[] {
  const several = world.site.hubs.length > 1 ? "several" : "one";
  const chosen = Object.entries(faults).filter(
    ([, { hubs }]) => (hubs === undefined || hubs === several) && world.timeline.chance(0.4),
  );
  for (const [name, fault] of chosen) strikeAgain(world, name, fault);
  return chosen.map(([name]) => name);
}

function strikeAgain(world: World, name: string, fault: Fault): void {
  // Exponential: the moments are independent of each other.
  world.timeline.after(-Math.log(1 - world.timeline.random()) * fault.everyMs, () => {
    if (!world.loading) return;
    world.recorder.note("faults", { op: "fault", kind: "info", fault: name });
    fault.strike(world);
    strikeAgain(world, name, fault);
  });
}

/** Everything works again: what is down is started, what is frozen thaws. */
export function heal(world: World): void {
  Object.assign(world.network.weather, fair);
  Object.assign(world.disk.condition, sound);
  world.site.exchange.loss = 0;
  world.site.exchange.isolated.clear();
  if (world.tokens !== undefined) world.tokens.failing = 0;
  for (const hub of world.site.hubs) {
    hub.machine?.thaw();
    if (hub.machine !== undefined) hub.machine.skewMs = 0;
    hub.start();
  }
  for (const role of world.roles) {
    for (const process of role.processes) process.wake();
    if (role.processes.length === 0) role.start();
  }
}

/** Ends something that lasts. */
function calm(world: World, end: () => void): void {
  world.timeline.after(world.timeline.between(200, 5_000), end);
}

function onLink(world: World, strike: (link: Link) => void): void {
  const links = [...world.network.links];
  if (links.length > 0) strike(world.timeline.pick(links));
}

function onProcess(world: World, strike: (process: Process) => void): void {
  const processes = world.roles.flatMap((role) => role.processes);
  if (processes.length > 0) strike(world.timeline.pick(processes));
}

function anyHub(world: World): SimulatedHub {
  return world.timeline.pick(world.site.hubs);
}
