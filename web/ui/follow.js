// Keeps a page at what is committed: loads it, loads it again when the event stream tells of something
// that it shows or when its address changes, and says what failed, with a way to try again.
import { replace } from "./dom.js";
import { on_change } from "./live.js";
import { failed } from "./states.js";

export const SETTLE_MS = 30; // what one commit tells comes in several messages
export const GAP_MS = 700;   // at least, from one load for windows to the next: each is shown within a second

// When to load again, for `hears`: as soon as possible, or not sooner than GAP_MS after the last load.
export const NOW = 0, SOON = GAP_MS;

// Runs `work` SETTLE_MS after it is called for, but not within `gap` of the last run's start, and never two
// at a time. The most urgent of several calls counts; one during a run leads to another run.
export function paced(work) {
    let timer = null, due = Infinity, began = -Infinity, running = false, next = Infinity;
    const run = async () => {
        [timer, due, running, began] = [null, Infinity, true, performance.now()];
        try { await work(); } finally {
            running = false;
            const gap = next;
            next = Infinity;
            if (gap < Infinity) call(gap);
        }
    };
    const call = (gap) => {
        if (running) { next = Math.min(next, gap); return; }
        const now = performance.now(), at = Math.max(now + SETTLE_MS, began + gap);
        if (at >= due) return;
        clearTimeout(timer);
        due = at;
        timer = setTimeout(run, at - now);
    };
    const stop = () => { clearTimeout(timer); [timer, due, next] = [null, Infinity, Infinity]; };
    return { run, call, stop };
}

// `hears(event)` says NOW, SOON or null of a message of the stream; `on` are the page's own listeners on the
// window, each given the event and a function that loads again. All ends with `signal`.
export async function follow(signal, { load, message, hears, on = {} }) {
    const { run, call, stop } = paced(async () => {
        if (signal.aborted) return;
        try { await load(); } catch (error) {
            if (error.name === "AbortError") return;
            replace(message, failed(error, again));
            if (!(error.status >= 0)) console.error(error);
        }
    });
    const again = () => call(NOW);
    const leave = on_change((event) => {
        const gap = hears(event);
        if (gap !== null) call(gap);
    });
    for (const [name, react] of Object.entries({ hashchange: again, ...on })) addEventListener(name, (event) => react(event, again), { signal });
    signal.addEventListener("abort", () => { leave(); stop(); });
    await run();
}
