// One task: what it is, what happened to it, and what can be done with it.

import { actions } from "./actions.js";
import { call } from "./api.js";
import { el, put, redraw, renew } from "./dom.js";
import { copier } from "./first.js";
import { members } from "./exactly.js";
import { poll, wake } from "./poll.js";
import { Problem, shown } from "./problem.js";
import { link } from "./route.js";
import { badge, FINAL, tags } from "./status.js";
import { story } from "./story.js";
import { list, picture } from "./timeline.js";
import { ago, duration } from "./times.js";
import { trace } from "./trace.js";

const HOLD = 20; // seconds that the service keeps an answer back while nothing changes
const RARELY = 30; // seconds between two looks at what is finished

/** Show the page. */
export function task(view, { id }) {
  view.title(`Task ${id}`);
  const places = { top: el("div"), does: el("div"), progress: el("div"), what: el("div"), more: el("div") };
  put(view.main, el("p", { class: "back" }, el("a", { href: link("tasks") }, "All tasks")),
    Object.values(places));
  const absent = (error) => {
    Object.values(places).forEach((place) => put(place));
    put(places.top, el("h1", {}, `Task ${id}`), shown(error));
  };
  if (!/^[1-9]\d*$/.test(id)) {
    absent(new Problem(404, { detail: `There is no task ${id}: the number of a task has digits alone.` }));
    return;
  }
  let known = null;
  let attempts = [];
  const changed = () => {
    known = null;
    wake();
  };
  const look = async () => {
    const headers = known ? { "If-None-Match": known.etag } : {};
    if (known && !FINAL.includes(known.body.status)) headers.Prefer = `wait=${known.wait > HOLD ? 0 : HOLD}`;
    let found;
    try {
      found = await call("GET", `tasks/${id}`, { headers, signal: view.signal });
    } catch (error) {
      if (view.signal.aborted || ![404, 422].includes(error.status)) throw error;
      absent(error);
      return null;
    }
    const same = found.status === 304;
    if (same) {
      known.wait = found.wait;
    } else {
      const told = await call("GET", `tasks/${id}/attempts`, { signal: view.signal });
      attempts = told.body.items;
      known = found;
      view.title(`${found.body.title} (${id})`);
    }
    draw(places, known, attempts, { changed, signal: view.signal });
    if (FINAL.includes(known.body.status)) return RARELY;
    // What is due in an hour needs no answer that is kept back; nor is one asked for again at once
    // that told of nothing new: it may not have been kept back.
    return same || known.wait > HOLD ? Math.min(known.wait || 1, RARELY) : 0.2;
  };
  poll(look, view.failed, view.signal);
}

function draw(places, { body: found, text }, attempts, doing) {
  const traced = attempts.at(-1)?.trace_id;
  redraw(places.top, [{ ...found, progress: null, updated_at: null }, traced], () => [
    el("h1", { class: "title" }, found.title),
    el("p", { class: "under" }, badge(found.status), el("span", { class: "id" }, `#${found.id}`),
      el("a", { class: "kind", href: link("tasks", { kind: found.kind }) }, found.kind),
      tags(found.tags, (tag) => link("tasks", { tag }))),
    found.description && el("p", { class: "description" }, found.description),
    facts(found, traced),
  ]);
  redraw(places.does, [found.id, found.status, found.links], () => [actions(found, doing)]);
  renew(places.progress, progress(found));
  const pieces = story(found, attempts);
  redraw(places.what, [{ ...found, progress: null, updated_at: null }, attempts, pieces.map((piece) => piece.text)], () => [
    el("section", { class: "panel" },
      el("h2", {}, "What happened"), el("p", { class: "hint" }, "Times of day are in UTC. An attempt begins when a worker takes its message, perhaps with others that it works first."),
      picture(pieces), list(pieces)),
  ]);
  const sent = members(text);
  const raw = ["error", "result", "payload"].map((name) => sent.get(name));
  redraw(places.more, [found.status, raw], () => [
    found.error && value(found.status === "failed" ? "Why it failed" : "The last error", found.error, raw[0]),
    found.result !== null && value("Result", found.result, raw[1]),
    value("Payload", found.payload, raw[2]),
  ]);
}

function progress({ progress: told }) {
  if (!told) return null;
  const words = `${Math.round(told.percent)} %`;
  return el("p", { class: "progress" },
    el("progress", { max: 100, value: told.percent, "aria-label": "Progress" }),
    el("span", {}, told.note ? `${words} – ${told.note}` : words));
}

function facts(found, traced) {
  const told = [
    ["Created", ago(found.created_at)],
    ["Attempts", `${found.attempt} of ${found.attempt_limit}`],
  ];
  if (found.finished_at) {
    told.push(["Finished", ago(found.finished_at)]);
    const took = (Date.parse(found.finished_at) - Date.parse(found.created_at)) / 1000;
    told.push(["From start to end", duration(took)]);
  } else {
    told.push([found.status === "processing" ? "Begun" : "Due",
      ago(found.status === "processing" ? found.started_at : found.run_at)]);
  }
  if (found.expires_at && !found.finished_at) told.push(["Fails if not begun", ago(found.expires_at)]);
  if (found.unique_key) told.push(["Unique key", found.unique_key]);
  if (traced) told.push([found.attempt > 1 ? "Trace of the latest attempt" : "Trace", trace(traced)]);
  return el("dl", { class: "facts" }, told.map(([name, text]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, text))));
}

function value(name, content, sent) {
  const head = el("h2", {}, name);
  if (content === null) return el("section", { class: "panel" }, head, el("p", { class: "hint" }, "None."));
  const text = typeof content === "string" ? content : sent;
  return el("section", { class: "panel value" }, head, copier(text),
    el("pre", { tabindex: 0, role: "region", "aria-label": name }, text));
}
