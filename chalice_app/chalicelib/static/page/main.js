// The page: what is shown for which address, and what is the same everywhere.

import { el, put, button } from "./dom.js";
import { forget, key } from "./key.js";
import { wake } from "./poll.js";
import { told } from "./problem.js";
import { go, route } from "./route.js";
import { duration } from "./times.js";
import { create } from "./create.js";
import { overview } from "./overview.js";
import { task } from "./task.js";
import { tasks } from "./tasks.js";

const PAGES = { overview, tasks, task, new: create };
const main = document.getElementById("main");
const notice = document.getElementById("notice");
const said = document.getElementById("said");

let current = null;

/** What a page is given: where it is shown, what tells it to end, how it says what is wrong, and what is
 * to be read after it has ended. */
function view() {
  const ended = new AbortController();
  return {
    main,
    signal: ended.signal,
    end: () => ended.abort(),
    title: (text) => {
      document.title = text ? `${text} - Tasks` : "Tasks";
    },
    failed: (error, wait) => warn(error, wait),
    say,
  };
}

function warn(error, wait) {
  if (!error) return put(notice);
  const { title, text, advice } = told(error);
  put(notice, el("div", { class: "problem" }, el("strong", {}, title), " ", text, " ", advice,
    ` Trying again in ${duration(wait)}. `, button("Try now", wake)));
}

function say(...words) {
  put(said, el("div", { class: "panel" }, words, " ", button("Close", () => put(said), { class: "plain" })));
}

function place() {
  const at = route();
  const name = at.page === "tasks" && at.id ? "task" : at.page;
  return { ...at, name: name in PAGES ? name : "overview" };
}

function show() {
  const at = place();
  if (current?.name === at.name && current.id === at.id && current.update) {
    current.update(at.query);
    return;
  }
  current?.view.end();
  put(notice);
  const shown = view();
  put(main);
  current = { ...at, view: shown, update: PAGES[at.name](shown, at) };
  for (const link of document.querySelectorAll(".top nav a")) {
    const here = link.hash === `#/${at.name === "overview" ? "" : at.page}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// What was asked with a new key goes on; what was seen with one that is forgotten goes.
function keyChanged() {
  const held = key() !== null;
  document.getElementById("forget").hidden = !held;
  if (held) {
    wake();
  } else {
    if (current) current.update = null;
    show();
  }
}

addEventListener("hashchange", () => {
  const before = current?.name;
  show();
  if (before !== current.name) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
});
addEventListener("key", keyChanged);
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (current.name !== "tasks") go("tasks");
  // The address changes first, then the page.
  setTimeout(() => document.getElementById("search")?.focus());
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById("forget").addEventListener("click", forget);

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

function nameTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Show the page ${isDark() ? "light" : "dark"}`);
}

theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();
document.getElementById("forget").hidden = key() === null;
show();
