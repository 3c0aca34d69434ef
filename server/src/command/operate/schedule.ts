/** `dogear schedule`: messages that wait until they are due. */
import { type Command, command, type Family } from "../command.ts";
import { hubOptions } from "../hub.ts";
import { jsonOption, operandsOf, operate } from "./operator.ts";

const cancel: Command = command({
  name: "schedule cancel",
  operands: "<id>",
  summary: "Take back a message before it is due",
  about: [
    'Takes back a message that "dogear publish" has scheduled, by the id that it printed. It is refused with ' +
      "not-scheduled where the message was published by then, or was taken back before.",
  ],
  options: { ...jsonOption, ...hubOptions },
  examples: [{ says: "Think better of it", line: "dogear schedule cancel default/V1StGXR8Z5jdHi6B/7" }],
  next: 'To schedule one: "dogear help publish", --delay and --at.',
  async run(values, operands, shell) {
    const [id] = operandsOf("schedule cancel", ["an id"], operands);
    await operate(values, shell, async ({ dogear, output, json }) => {
      await dogear.cancel(id);
      await output.write(json ? `${JSON.stringify({ cancelled: id })}\n` : `Cancelled ${id}.\n`);
    });
  },
});

export const schedule: Family = {
  name: "schedule",
  summary: "Take back messages that are not due yet: cancel",
  about: [
    'A message that is published with --delay or --at waits in the hub until it is due: see "dogear help publish".',
  ],
  commands: [cancel],
  next: 'More about it: "dogear help schedule cancel".',
};
