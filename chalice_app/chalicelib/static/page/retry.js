// Gives new attempts to all that a filter shows.

import { call } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, put } from "./dom.js";
import { shown } from "./problem.js";
import { link } from "./route.js";

const MOST = 1000; // with one request

// Of each filter, what the last run did: it outlives the list that it was started from.
const outcomes = new Map();

/**
 * Offer to try again what is shown. `at(query)` is told which filter is shown, and `show(query,
 * many, more)` what was found by it; `done` is called after a run. Whoever leaves the filter stops it.
 */
export function retrying(view, done) {
  let current = null;
  let found = null;
  let run = null;
  let asking = false;
  const place = el("span", { class: "outcome", tabindex: -1 });
  const start = button("", async () => {
    if (asking) return;
    asking = true;
    const { filter } = current;
    const count = await amount(filter, found, view.signal);
    const agreed = await confirm("Try these again?", question(filter.status, count), `Try ${count} again`);
    asking = false;
    if (!agreed || view.signal.aborted) return;
    run = { ...current, count, given: 0, stopped: false };
    draw();
    stop.focus();
    await work(run, view);
    run = null;
    draw();
    if (document.activeElement === document.body) (start.hidden ? place : start).focus();
    done();
  });
  const stop = button("Stop", () => { run.stopped = true; });
  const element = el("div", { class: "many" }, start, stop, place);
  // What is in focus must not vanish from under the reader.
  const draw = () => {
    const can = ["failed", "cancelled"].includes(current.filter.status);
    const held = element.contains(document.activeElement);
    start.textContent = `Try all ${current.filter.status} ones again …`;
    start.hidden = !can || !(run || found?.many || found?.more);
    start.disabled = run !== null;
    stop.hidden = run === null;
    element.hidden = !can;
    if (held && document.activeElement.hidden) (start.hidden || start.disabled ? place : start).focus();
  };
  const at = (query) => {
    const filter = Object.fromEntries(Object.entries(query).filter(([name, value]) => value && name !== "cursor"));
    const words = JSON.stringify(Object.entries(filter).sort());
    if (run && run.words !== words) run.stopped = run.left = true;
    if (current?.words !== words) {
      if (!outcomes.has(words)) outcomes.set(words, el("span", { role: "status" }));
      put(place, outcomes.get(words));
      found = null;
    }
    current = { filter, words, outcome: outcomes.get(words) };
    draw();
  };
  const show = (query, many, more) => {
    at(query);
    found = { many, more, cursor: query.cursor };
    draw();
  };
  view.signal.addEventListener("abort", () => {
    if (run) run.stopped = run.left = true;
  });
  return { element, at, show };
}

// From place to place, so that what fails again meanwhile is not met again. A request that is under
// way when it is stopped is waited for: what it did has to be told.
async function work(run, view) {
  let cursor;
  try {
    do {
      const { body } = await call("POST", "tasks/retry", { body: { ...run.filter, limit: MOST, cursor } });
      run.given += body.ids.length;
      cursor = body.more ? body.next_cursor ?? undefined : undefined;
      put(run.outcome, progress(run, cursor !== undefined));
    } while (cursor && !run.stopped);
  } catch (error) {
    put(run.outcome, sum(run), run.given ? ", then it went wrong:" : ":", shown(error));
  }
  if (run.left) {
    const words = cursor ? "Trying again was stopped when its filter was left: " : "Trying again has ended: ";
    view.say(words, sum(run), ". ", el("a", { href: link("tasks", run.filter) }, "Back to that filter"));
  }
}

function progress(run, more) {
  if (!more) return `${sum(run)}.`;
  if (run.stopped) return `${sum(run)}; there it was stopped.`;
  return /^[\d,]+$/.test(run.count) ? `${sum(run, ` of ${run.count}`)} so far …` : `${sum(run)} so far …`;
}

function sum({ given }, of = "") {
  return `${given.toLocaleString("en")}${of} ${given === 1 && !of ? "was" : "were"} given new attempts`;
}

function question(status, count) {
  const one = count === "1";
  return `${count} ${status} ${one ? "task fits" : "tasks fit"} the filter that is shown. They get new attempts, ` +
    "the oldest first, and begin at once.";
}

// There is no count of what a filter finds, but of one page and of a whole status.
async function amount(filter, { cursor, many, more }, signal) {
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
