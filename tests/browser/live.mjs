// A daemon whose every commit brings a new window to every page, and what a page shows of it, and when: for the
// tests of the stream and for bench/page.mjs.
import { HOUR, random, start } from "./daemon.mjs";

const begin = Math.floor(Date.now() / HOUR) * HOUR - 72 * HOUR;

export class Hours {
    constructor() { Object.assign(this, { chance: random(9), n: 0 }); }

    prediction(id, ts) {
        return { type: "prediction", id, ts, model: "credit", version: "v1", features: { amount: this.chance.normal() }, score: this.chance() };
    }

    next() {
        const at = begin + this.n++ * HOUR;
        return Array.from({ length: 40 }, (_, i) => this.prediction(`h${this.n}-${i}`, at + i * 60_000));
    }

    reference() {
        return Array.from({ length: 300 }, (_, i) => [this.prediction(`r${i}`, begin - HOUR), { type: "label", id: `r${i}`, ts: begin - HOUR, label: i % 2 }]).flat();
    }
}

export async function start_hours(context) {
    const hours = new Hours(), daemon = await start(context, { models: [{ name: "credit", task: "binary", positive: 1 }] });
    const commit = () => daemon.post(hours.next());
    await commit();
    await daemon.put("/models/credit/reference", hours.reference());
    return { daemon, commit };
}

// What tells of the newest window on each page.
export const pages = {
    "/": ".models tbody td[data-label=labels]",
    "/#/models/credit": "main .lead time",
    "/#/models/credit/drift": ".heat",
    "/#/models/credit/compare": "main .lead",
    "/#/system": ".total",
};

// The longest that a page itself waits before it asks for what was committed, by its own constants.
export const longest_wait = (page) => page.evaluate(() => import("/follow.js").then(({ GAP_MS, SETTLE_MS }) => GAP_MS + SETTLE_MS));

export async function open_live(page, address, path) {
    await page.goto(address + path);
    await page.locator(pages[path]).first().waitFor();
    await page.locator("#live[data-state=on]").waitFor();
}

// Runs `act` and waits until the text at `selector` is another one. The page and this process read one clock.
// {from_before, from_after}: ms from before `act` began, and from when it had ended, to the page's next frame.
export async function delay_of(page, selector, act) {
    await page.evaluate((watched) => {
        const text = () => document.querySelector(watched)?.textContent, before = text();
        window.painted = new Promise((resolve) => {
            const observer = new MutationObserver(() => {
                if (text() === undefined || text() === before) return;
                observer.disconnect();
                requestAnimationFrame(() => resolve(Date.now()));
            });
            observer.observe(document.getElementById("main"), { subtree: true, childList: true, characterData: true });
        });
    }, selector);
    const began = Date.now();
    await act();
    const ended = Date.now(), painted = await page.evaluate(() => window.painted);
    return { from_before: painted - began, from_after: painted - ended };
}

// Writes down what the page's event stream tells, in window.heard.
export const listen = (page) => page.evaluate(async () => {
    const { on_change } = await import("/live.js");
    window.heard = [];
    on_change((event) => window.heard.push(event));
});
