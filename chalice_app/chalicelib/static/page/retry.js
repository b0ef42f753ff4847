// Gives new attempts to all that a filter shows.

import { call } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, put } from "./dom.js";
import { shown } from "./problem.js";

const MOST = 1000; // with one request

// What the last one did, while its filter is shown: it outlives the list that it was started from.
const outcome = el("span", { role: "status" });
let shownFor = "";

/** Offer to try again what is shown, where it is failed or cancelled; `done` is called afterwards. */
export function retryMany(query, many, more, done, signal) {
  const { status } = query;
  if (status !== "failed" && status !== "cancelled") {
    return null;
  }
  const filter = Object.fromEntries(
    Object.entries(query).filter(([name, value]) => value && name !== "cursor"));
  const words = JSON.stringify(filter);
  if (shownFor !== words) put(outcome);
  shownFor = words;
  if (!many && !more) return el("div", { class: "many" }, outcome);
  const press = async () => {
    const count = await amount(filter, query.cursor, many, more, signal);
    const question = `${count} ${status === "failed" ? "failed" : "cancelled"} ${count === "1" ? "task" : "tasks"} ` +
      `${count === "1" ? "fits" : "fit"} the filter that is shown. They get new attempts, the oldest first, ` +
      "and begin at once.";
    if (!(await confirm("Try these again?", question, `Try ${count} again`))) return;
    let given = 0;
    let cursor;
    const tell = (rest) => put(outcome,
      `${given.toLocaleString("en")} ${given === 1 ? "was" : "were"} given new attempts${rest}`);
    try {
      // From place to place, so that what fails again meanwhile is not met again.
      do {
        const { body } = await call("POST", "tasks/retry", { body: { ...filter, limit: MOST, cursor }, signal });
        given += body.ids.length;
        cursor = body.more ? body.next_cursor ?? undefined : undefined;
        tell(cursor ? " so far …" : ".");
      } while (cursor);
    } catch (error) {
      if (signal.aborted) return;
      tell(given ? ", then it went wrong:" : ":");
      outcome.append(shown(error));
    }
    done();
  };
  return el("div", { class: "many" }, button(`Try all ${status} ones again …`, press), " ", outcome);
}

// There is no count of what a filter finds, but of one page and of a whole status.
async function amount(filter, cursor, many, more, signal) {
  if (!more && !cursor) return String(many);
  if (Object.keys(filter).length === 1) {
    try {
      const { body } = await call("GET", "stats", { query: { minutes: 1 }, signal });
      const count = body.counts[filter.status];
      return `${count.toLocaleString("en")}${count >= body.count_limit ? " or more" : ""}`;
    } catch {
      // Then the page is what is known.
    }
  }
  return cursor ? `${many} or more` : `more than ${many}`;
}
