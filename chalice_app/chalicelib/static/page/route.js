// What the page shows is in its address, after the #: so it can be shared, and gone back to.

/** Read the address: `page`, `id` and `query`. */
export function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, id] = path.split("/");
  return { page: page || "overview", id, query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** Return the address of a page; of a query, only what is given. */
export function link(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const text = new URLSearchParams(given).toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** Go there; with `replace`, without a step that could be gone back to. */
export function go(path, query, { replace = false } = {}) {
  const hash = link(path, query);
  if (!replace) location.hash = hash;
  else if (location.hash !== hash) {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}
