// Shows what happened to a task: as a picture to scale, and as a list that says all.

import { el, fresh, svg } from "./dom.js";
import { ago, clocked, duration, since } from "./times.js";
import { trace } from "./trace.js";

const WIDTH = 1000;
const LEAST = 12; // so that an attempt of a millisecond beside a wait of a minute can be seen

/** Draw the pieces of a story. */
export function picture(pieces) {
  const spans = pieces.filter((piece) => piece.sort !== "moment");
  const total = spans.reduce((sum, piece) => sum + piece.seconds, 0);
  if (!spans.length) return null;
  const spare = WIDTH - LEAST * spans.length;
  const title = fresh("picture");
  let x = 0;
  const parts = spans.map((piece) => {
    const width = LEAST + (total ? (piece.seconds / total) * spare : spare / spans.length);
    const tall = piece.sort === "attempt";
    const made = svg("rect", {
      class: `${piece.sort} ${piece.look}`, x, y: tall ? 0 : 11, width: Math.max(width - 2, 2),
      height: tall ? 32 : 10, rx: tall ? 2 : 0,
    }, svg("title", {}, `${piece.text}: ${duration(piece.seconds)}`));
    x += width;
    return made;
  });
  const told = spans.map((piece) => `${piece.text} (${duration(piece.seconds)})`).join(", ");
  return el("div", { class: "picture" },
    svg("svg", { viewBox: `0 0 ${WIDTH} 32`, preserveAspectRatio: "none", role: "img", "aria-labelledby": title },
      svg("title", { id: title }, `In order, and roughly to scale: ${told}.`), parts),
    el("p", { class: "ends" },
      el("span", {}, clocked(spans[0].from)),
      el("span", {}, `${duration(total)} in all`),
      el("span", {}, spans.at(-1).to ? clocked(spans.at(-1).to, spans[0].from) : "now")));
}

/** List them. */
export function list(pieces) {
  return el("ol", { class: "timeline" }, pieces.map((piece, at) =>
    el("li", { class: `${piece.sort} ${piece.look}` },
      clocked(piece.from, pieces[at - 1]?.from),
      el("div", {}, el("p", { class: "head" }, headline(piece)), details(piece)))));
}

function headline(piece) {
  const text = el("strong", {}, piece.text);
  switch (piece.sort) {
    case "moment":
      if (piece.took === undefined) return [text, " ", ago(piece.from)];
      return [text, ` ${duration(piece.took)} after it was created`];
    case "wait":
      if (piece.until) return [text, ", which comes ", ago(piece.until), " (at ", clocked(piece.until, piece.from), ")"];
      return piece.to ? [text, ` for ${duration(piece.seconds)}`] : [text, ", for ", since(piece.from), " so far"];
    default:
      return piece.to ? [text, ` after ${duration(piece.seconds)}`] : [text, ", for ", since(piece.from), " so far"];
  }
}

function details({ attempt }) {
  if (!attempt) return null;
  const error = attempt.error;
  const where = [
    ["Lambda request", attempt.request_id], ["SQS message", attempt.message_id],
    ["Received", attempt.receive_count && (attempt.receive_count === 1 ? "once" : `${attempt.receive_count} times`)],
    ["Trace", attempt.trace_id && trace(attempt.trace_id)],
  ].filter(([, value]) => value);
  return [
    error && el("p", { class: "reason" },
      error.class ? el("b", {}, `${error.class}: `) : null, error.message ?? "", " ",
      el("code", {}, error.code)),
    where.length && el("details", {}, el("summary", {}, "Where it ran"),
      el("dl", { class: "ids" }, where.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]))),
  ].filter(Boolean);
}
