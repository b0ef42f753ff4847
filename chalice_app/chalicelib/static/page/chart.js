// Draws the minutes of an hour and the times of tasks; what is drawn is also there as a table.

import { el, fresh, svg } from "./dom.js";
import { duration, exact } from "./times.js";

const HEIGHT = 100;
const NAMES = ["created", "completed", "failed"];

/** Draw what was created, completed and failed in each minute. */
export function throughput({ throughput: minutes }) {
  const head = el("h2", {}, "Each minute");
  if (!minutes.length) return [head, el("p", { class: "hint" }, "There are too many to count, in this minute already.")];
  const sums = NAMES.map((name) => minutes.reduce((sum, one) => sum + one[name], 0));
  const most = Math.max(1, ...minutes.map((one) => Math.max(one.created, one.completed + one.failed)));
  const told = NAMES.map((name, at) => `${sums[at].toLocaleString("en")} ${name}`).join(", ");
  const since = `In the last ${minutes.length} minutes: ${told}.`;
  return [
    head,
    el("p", { class: "legend" }, NAMES.map((name, at) => el("span", { class: `key ${name}` },
      `${sums[at].toLocaleString("en")} ${name}`))),
    el("div", { class: "plot" },
      el("span", { class: "axis" }, `${most.toLocaleString("en")} a minute`),
      picture(minutes, most, since)),
    el("p", { class: "ends" }, el("span", {}, `${minutes.length} min ago`), el("span", {}, "now")),
    table(minutes),
  ];
}

function picture(minutes, most, since) {
  const title = fresh("chart");
  const width = minutes.length * 10;
  const tall = (value) => (value / most) * HEIGHT;
  const bars = minutes.map((one, at) => svg("g", {},
    svg("title", {}, `${exact(one.minute).slice(11, 16)} UTC: ` +
      NAMES.map((name) => `${one[name]} ${name}`).join(", ")),
    svg("rect", { class: "hit", x: at * 10, y: 0, width: 10, height: HEIGHT }),
    bar("completed", at, HEIGHT - tall(one.completed), tall(one.completed)),
    bar("failed", at, HEIGHT - tall(one.completed + one.failed), tall(one.failed))));
  const steps = minutes.map((one, at) =>
    `${at * 10},${HEIGHT - tall(one.created)} ${at * 10 + 10},${HEIGHT - tall(one.created)}`);
  return svg("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    "aria-labelledby": title,
  }, svg("title", { id: title }, since), bars, svg("polyline", { class: "created", points: steps.join(" ") }));
}

function bar(name, at, y, height) {
  return svg("rect", { class: name, x: at * 10 + 1, y, width: 8, height });
}

function table(minutes) {
  const busy = minutes.filter((one) => NAMES.some((name) => one[name])).reverse();
  const rows = busy.map((one) => el("tr", {},
    el("th", { scope: "row" }, exact(one.minute).slice(0, 16)),
    NAMES.map((name) => el("td", {}, one[name].toLocaleString("en")))));
  return el("details", {}, el("summary", {}, "As a table"),
    busy.length
      ? el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Each minute, in numbers" },
        el("table", { class: "numbers" },
          el("thead", {}, el("tr", {}, ["Minute (UTC)", ...NAMES].map((name) => el("th", { scope: "col" }, name)))),
          el("tbody", {}, rows)))
      : el("p", {}, "Nothing happened in these minutes."));
}

const SHARES = [["p50", "half of them"], ["p95", "95 of 100"], ["p99", "99 of 100"]];

/** Draw how long tasks waited and ran: a table whose numbers have bars. */
export function latency({ timed, wait, run }) {
  const head = el("h2", {}, "How long tasks take");
  if (!timed) return [head, el("p", { class: "hint" }, "No task has finished in the last hour.")];
  const longest = Math.max(wait.p99, run.p99, 0.01);
  const part = (name, means, values) => el("tbody", {},
    el("tr", {}, el("th", { scope: "rowgroup", colspan: 3 }, name, " ", el("small", {}, means))),
    SHARES.map(([share, words]) => el("tr", {},
      el("th", { scope: "row" }, words),
      el("td", { class: "bar" }, line(values[share], longest, name)),
      el("td", { class: "value" }, `≤ ${duration(values[share])}`))));
  return [
    head,
    el("p", { class: "hint" }, `The ${timed.toLocaleString("en")} that finished last, in the last hour. ` +
      "The scale is logarithmic."),
    el("table", { class: "times" },
      part("Waited", "from being due to being begun", wait), part("Ran", "the last attempt", run)),
  ];
}

// Three thirds for three powers of ten: a wait of a minute would hide all that take milliseconds.
function line(value, longest, name) {
  const share = Math.max(0.02, 1 + Math.log10(Math.max(value, 1e-9) / longest) / 3);
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 10 }),
    svg("rect", { class: name.toLowerCase(), width: share * 100, height: 10 }));
}
