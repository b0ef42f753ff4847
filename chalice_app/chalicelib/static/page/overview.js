// How the tasks stand, and how they fared in the last hour.

import { call } from "./api.js";
import { latency, throughput } from "./chart.js";
import { el, put, redraw, renew } from "./dom.js";
import { firstTask } from "./first.js";
import { poll } from "./poll.js";
import { link } from "./route.js";
import { MEANS, STATUSES } from "./status.js";
import { duration } from "./times.js";

const EVERY = 5;

/** Show the page. */
export function overview(view) {
  view.title("");
  const counts = el("div", { class: "counts" });
  const facts = el("dl", { class: "facts" });
  const minutes = el("section", { class: "panel" });
  const times = el("section", { class: "panel" });
  const charts = el("div", { class: "charts" }, minutes, times);
  const first = el("div");
  put(view.main, el("h1", {}, "Overview"), counts, first, facts, charts);
  const look = async () => {
    const { body } = await call("GET", "stats", { signal: view.signal });
    const none = STATUSES.every((status) => body.counts[status] === 0);
    redraw(first, none, () => [none && firstTask()]);
    facts.hidden = none;
    charts.hidden = none;
    renew(counts, STATUSES.map((status) => count(status, body)));
    renew(facts, figures(body));
    renew(minutes, throughput(body));
    renew(times, latency(body));
    return EVERY;
  };
  poll(look, view.failed, view.signal);
}

function count(status, { counts, count_limit: limit }) {
  const number = counts[status];
  const text = number.toLocaleString("en");
  return el("a", { class: `count ${status}`, href: link("tasks", { status }) },
    el("span", { class: "number" }, number >= limit ? `${text}+` : text),
    el("span", { class: "name" }, status),
    el("span", { class: "means" }, MEANS[status]));
}

function figures({ oldest_wait: oldest, queue }) {
  const told = [["Oldest waiting task", oldest === null ? "none waits" : duration(oldest)]];
  if (queue) {
    told.push(["Messages on the queue", about(queue.tasks)]);
    told.push(["Dead letters", about(queue.dead_letters)]);
  }
  return told.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

function about(depth) {
  return depth === null ? "not known: SQS does not answer" : `about ${depth.toLocaleString("en")}`;
}
