// Looks again and again, politely: not while nobody sees it, and ever more rarely while it fails.

const LONGEST = 60;

function pause(seconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      removeEventListener("wake", done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener("abort", done);
    addEventListener("wake", done);
  });
}

function seen(signal) {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}

/** Look again at once, wherever there is a pause. */
export function wake() {
  dispatchEvent(new Event("wake"));
}

/**
 * Do `look` until the signal says to stop. It returns in how many seconds to look again; null: never.
 * What it throws goes to `failed(error, seconds)`, which is called with null once it works again.
 */
export async function poll(look, failed, signal) {
  let failures = 0;
  for (;;) {
    await seen(signal);
    if (signal.aborted) return;
    let wait;
    try {
      wait = await look();
      if (signal.aborted) return;
      if (failures) failed(null, 0);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      wait = Math.max(error.wait ?? 0, Math.min(LONGEST, 2 ** failures));
      failed(error, wait);
    }
    if (wait === null) return;
    await pause(wait, signal);
  }
}
