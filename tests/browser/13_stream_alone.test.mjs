// A commit comes to every page by the event stream alone. Time stands still here but where the test lets it run, so
// that nothing else can have asked: for the whole browser, which is why these stand in a file of their own.
import assert from "node:assert/strict";
import { strict } from "./daemon.mjs";
import { listen, longest_wait, open_live, pages, start_hours } from "./live.mjs";

let daemon, commit;

export async function setup(context) {
    ({ daemon, commit } = await start_hours(context));
    return daemon.address;
}

// The page's questions to the API, but for the stream: how many were asked, how many are still open.
function questions(page) {
    const counts = { asked: 0, open: 0 };
    const counted = (request) => request.url().includes("/api/v1/") && !request.url().endsWith("/stream");
    page.on("request", (request) => { if (counted(request)) { counts.asked++; counts.open++; } });
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => { if (counted(request)) counts.open--; });
    return counts;
}

// Time stands still from here on but for `page.clock.runFor`: what the page still meant to ask is asked and answered.
async function hold_time(page, counts, longest) {
    await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 60_000);
    for (let asked = -1; asked !== counts.asked;) {
        asked = counts.asked;
        await page.clock.runFor(longest);
        while (counts.open > 0) await page.waitForEvent("requestfinished");
        await page.evaluate(() => new Promise((resolve) => queueMicrotask(resolve)));
    }
}

async function shows_it_by_the_stream_alone(page, path, selector) {
    const check = strict(page), counts = questions(page);
    await page.clock.install();
    await open_live(page, daemon.address, path);
    await listen(page);
    const longest = await longest_wait(page);
    assert.ok(longest < 1000, `a page waits ${longest} ms`);
    await hold_time(page, counts, longest);
    const before = await page.locator(selector).first().textContent(), { asked } = counts;

    await commit();
    await page.waitForFunction(() => window.heard.some((event) => event.type === "window"));
    assert.equal(counts.asked, asked, `${path} asked before its time`);
    await page.clock.runFor(longest);

    await page.waitForFunction(([where, text]) => document.querySelector(where)?.textContent !== text, [selector, before]);
    check();
}

export async function every_page_shows_a_commit_by_the_stream_alone_within_a_second({ page }) {
    for (const [path, selector] of Object.entries(pages)) {
        const fresh = await page.context().newPage();
        await shows_it_by_the_stream_alone(fresh, path, selector);
        await fresh.close();
    }
}

