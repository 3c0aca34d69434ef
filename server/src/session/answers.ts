/** Answers to drafts that were published one after another are said as one: alone they were an eighth of what a full hub did (P-19). */
import type { Published } from "@dogear/shared";
import type { Answer } from "./drafts.ts";

/** The same answers in as few as can be. */
export function inFew(answers: readonly Answer[]): readonly Answer[] {
  if (answers.length < 2) return answers;
  const few: Answer[] = [];
  let run: (Published & { count: number }) | undefined;
  for (const answer of answers) {
    if (answer.is !== "published") {
      run = undefined;
      few.push(answer);
    } else if (run !== undefined && continues(run, answer)) {
      run.count++;
    } else {
      run = begun(answer);
      few.push(run);
    }
  }
  return few;
}

/** Field by field: V8 makes a copy by spreading anew each time where the shapes of answers differ. */
function begun({ number, epoch, offset, duplicate, durability }: Published): Published & { count: number } {
  return { is: "published", number, epoch, offset, duplicate, durability, count: 1 };
}

function continues(run: Published & { readonly count: number }, { number, offset, duplicate }: Published): boolean {
  return number === run.number + run.count && offset === run.offset + run.count && duplicate === run.duplicate;
}
