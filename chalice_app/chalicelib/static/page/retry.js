// Gives new attempts to all that a filter shows.

import { call } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, put } from "./dom.js";
import { shown } from "./problem.js";

const MOST = 1000; // with one request
let last = null; // what the last one did, while its filter is shown

/** Offer to try again what is shown, where it is failed or cancelled; `done` is called afterwards. */
export function retryMany(query, many, more, done, signal) {
  const { status } = query;
  if (status !== "failed" && status !== "cancelled") {
    last = null;
    return null;
  }
  const filter = Object.fromEntries(
    Object.entries(query).filter(([name, value]) => value && name !== "cursor"));
  const words = JSON.stringify(filter);
  if (last && last.words !== words) last = null;
  const outcome = el("span", { role: "status" }, last?.text ?? "");
  if (!many) return last && el("div", { class: "many" }, outcome);
  const press = async () => {
    const count = await amount(filter, query.cursor, many, more, signal);
    const question = `${count} ${status === "failed" ? "failed" : "cancelled"} ${count === "1" ? "task" : "tasks"} ` +
      `${count === "1" ? "fits" : "fit"} the filter that is shown. With one request up to ` +
      `${MOST.toLocaleString("en")} get new attempts, the oldest first, and begin at once.`;
    if (!(await confirm("Try these again?", question, `Try ${count} again`))) return;
    try {
      const { body } = await call("POST", "tasks/retry", { body: { ...filter, limit: MOST }, signal });
      const given = body.ids.length.toLocaleString("en");
      last = { words, text: `${given} ${body.ids.length === 1 ? "was" : "were"} given new attempts` +
        `${body.more ? "; there are more." : "."}` };
      put(outcome, last.text);
      done();
    } catch (error) {
      if (!signal.aborted) put(outcome, shown(error));
    }
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
