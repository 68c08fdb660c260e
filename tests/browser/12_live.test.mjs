// How soon a commit is on each page, and what a page hears after an absence.
import assert from "node:assert/strict";
import { strict } from "./daemon.mjs";
import { delay_of, listen, longest_wait, open_live, pages, start_hours } from "./live.mjs";

let daemon, commit;

export async function setup(context) {
    ({ daemon, commit } = await start_hours(context));
    return daemon.address;
}

export async function the_time_from_a_commit_to_the_page_is_measured({ page, address }) {
    await page.bringToFront(); // a page behind another draws no frames
    for (const [path, selector] of Object.entries(pages)) {
        await open_live(page, address, path);
        await page.waitForTimeout(2 * await longest_wait(page)); // what it asks after it was opened is over
        const { from_before, from_after } = await delay_of(page, selector, commit);
        assert.ok(from_before >= from_after);
        console.log(`       ${path}: on the page ${from_after} ms after its commit (${from_before} ms after the event was sent)`);
    }
}

export async function who_was_away_hears_what_was_missed({ page, address }) {
    const check = strict(page, /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_FAILED|Failed to load/);
    await open_live(page, address, "/#/models/credit");
    await listen(page);
    await commit();
    await page.waitForFunction(() => window.heard.some((event) => event.type === "window"));
    const [{ change }] = await page.evaluate(() => window.heard.filter((event) => event.type === "window"));
    const before = await page.locator("main .lead time").getAttribute("title");

    await page.route("**/api/v1/stream", (route) => route.abort());
    await daemon.stop();
    await page.locator("#live[data-state=off]").waitFor();
    await daemon.serve();
    await commit();
    await page.unroute("**/api/v1/stream");

    // Committed before the stream was open again: only who says the last id that it heard is told of it.
    await page.waitForFunction((known) => window.heard.some((event) => event.type === "window" && event.change > known), change);
    await page.waitForFunction((text) => document.querySelector("main .lead time").title !== text, before);
    assert.ok(await page.evaluate(() => Array.isArray(window.heard)), "the page was not reloaded");
    check();
}

// An open list would close, and a click that has begun would be lost.
export async function what_can_be_pressed_stays_while_the_page_is_drawn_again({ page, address }) {
    const check = strict(page);
    for (const [path, ids] of [["/#/models/credit", ["range-6h", "window", "add-metric"]], ["/#/models/credit/compare", ["range-6h", "beside"]]]) {
        await open_live(page, address, path);
        const before = await page.locator("main .lead time").last().getAttribute("title");
        await page.evaluate((names) => { window.held = names.map((id) => document.getElementById(id)); window.held[0].focus(); }, ids);
        await commit();
        await page.waitForFunction((text) => [...document.querySelectorAll("main .lead time")].pop().title !== text, before);
        assert.deepEqual(await page.evaluate(() => window.held.map((element) => element.isConnected)), ids.map(() => true), path);
        assert.equal(await page.evaluate(() => document.activeElement.id), ids[0]);
    }

    await page.locator("#range-6h").click();
    await page.waitForFunction(() => document.getElementById("range-6h").getAttribute("aria-pressed") === "true");
    await page.goBack();
    await page.waitForFunction(() => document.getElementById("range-6h").getAttribute("aria-pressed") === "false");
    check();
}

export async function a_registered_version_says_that_it_has_not_served_until_it_does({ page, address }) {
    const check = strict(page), row = page.locator("section[aria-label=Versions] tbody tr", { hasText: "v2" });
    await open_live(page, address, "/#/models/credit");
    await daemon.ask("PUT", "/models/credit/versions/v2", JSON.stringify({ framework: "keras 3" }));
    await row.getByText("it has not served yet").waitFor();

    const { last_event } = await daemon.get("/models/credit");
    await daemon.post([{ type: "prediction", id: "first-of-v2", ts: last_event + 1000, model: "credit", version: "v2", score: 0.3 }]);

    await page.waitForFunction(() => !document.querySelector("section[aria-label=Versions]").textContent.includes("not served yet"));
    assert.match(await row.textContent(), /keras 3/);
    check();
}

// A browser opens six connections to one server for all its tabs, and each stream takes one of them.
export async function any_number_of_tabs_may_be_open_and_the_one_that_is_seen_is_live({ page, address }) {
    const seen = (tab, visible) => tab.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        dispatchEvent(new Event("visibilitychange"));
    }, !visible);
    const tabs = [page];
    await open_live(page, address, "/");
    for (let i = 0; i < 6; i++) {
        await seen(tabs.at(-1), false);
        tabs.push(await page.context().newPage());
        await open_live(tabs.at(-1), address, "/#/models/credit");
    }
    const text = () => page.locator(pages["/"]).first().textContent(), before = await text();
    await commit();
    await tabs.at(-1).locator("#live[data-state=on]").waitFor();

    await seen(tabs.at(-1), false);
    await seen(page, true);

    await page.locator("#live[data-state=on]").waitFor();
    await page.waitForFunction(([selector, was]) => document.querySelector(selector).textContent !== was, [pages["/"], before]);
    for (const tab of tabs.slice(1)) await tab.close();
}
