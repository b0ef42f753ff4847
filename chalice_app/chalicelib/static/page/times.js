// Tells times: how long, how long ago, and exactly, in UTC.

import { el } from "./dom.js";

// The service's clock is the one that counts; a header tells it by the second.
let ahead = 0;

/** Take the service's time, in milliseconds. */
export function setClock(date) {
  const seen = date - Date.now();
  ahead = Math.abs(seen) > 2000 ? seen : 0;
}

/** Return the service's time, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** Return how long so many seconds are, in words: 12 ms, 3.4 s, 2 min 5 s. */
export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size < 0.0005) return "0 ms";
  if (size < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (size < 9.95) return `${seconds.toFixed(1)} s`;
  let left = Math.round(size);
  const parts = [];
  for (const [name, length] of UNITS) {
    const many = Math.floor(left / length);
    if (many || parts.length === 1) parts.push(many ? `${many} ${name}` : "");
    left -= many * length;
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(" ");
}

/** Return the exact time in UTC. */
export function exact(iso) {
  return `${iso.replace("T", " ").replace(/Z$/, "")} UTC`;
}

// The time of day, by the millisecond.
function clock(iso) {
  return iso.slice(11, 23);
}

/** Show the time of day; with its day, where that is another than that of `before`, or that is not given. */
export function clocked(iso, before) {
  const day = iso.slice(0, 10);
  return el("time", { class: "clock", datetime: iso, title: exact(iso) },
    day !== before?.slice(0, 10) && [el("span", { class: "day" }, day), " "], clock(iso));
}

function relative(iso) {
  const seconds = (now() - Date.parse(iso)) / 1000;
  if (Math.abs(seconds) < 1.5) return "just now";
  const [[name, length]] = UNITS.filter(([, size]) => Math.abs(seconds) >= size);
  const many = `${Math.floor(Math.abs(seconds) / length)} ${name}`;
  return seconds > 0 ? `${many} ago` : `in ${many}`;
}

/** Show how long ago something was, or in how long it will be; exactly while pointed at. */
export function ago(iso) {
  return el("time", { datetime: iso, title: exact(iso), "data-relative": true }, relative(iso));
}

function past(iso) {
  return duration(Math.max(0, (now() - Date.parse(iso)) / 1000));
}

/** Show how long something has lasted that has not ended. */
export function since(iso) {
  return el("time", { datetime: iso, title: exact(iso), "data-since": true }, past(iso));
}

setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-relative], time[data-since]")) {
    const tell = element.hasAttribute("data-since") ? past : relative;
    const text = tell(element.dateTime);
    if (element.textContent !== text) element.textContent = text;
  }
}, 1000);
