// What every page keeps, in both themes: no finding of axe, no scrolling sideways on a phone, times
// with UTC on hover, one heading, a way on when something fails, and a sign while an answer is slow.
import assert from "node:assert/strict";
import { HOSTILE, HOUR, MINUTE, fits, random, start, strict } from "./daemon.mjs";

let daemon;
const pages = [
    ["/", ".models tbody tr"], ["/#/models/credit", ".chart canvas"], ["/#/models/credit/drift", ".heat"], ["/#/models/credit/compare", ".curve"],
    ["/#/releases", ".models tbody tr"], ["/#/releases/credit-v4", ".release-actions button"], ["/#/alerts", ".part"], ["/#/system", ".facts"],
];

export async function setup(context) {
    daemon = await start(context, { models: [{ name: "credit", task: "binary", positive: 1, segments: ["country"] }] });
    const next = random(3), begin = Math.floor(Date.now() / HOUR) * HOUR - 8 * HOUR, events = [];
    for (let i = 0; i < 8 * 120; i++) {
        const ts = begin + i * (MINUTE / 2), id = `e${i}`, score = next();
        events.push({ type: "prediction", id, ts, model: "credit", version: i % 2 ? "v3" : "v4", score, features: { income: next.normal(), city: i % 7 ? "rome" : HOSTILE }, segment: { country: i % 3 ? "de" : HOSTILE }, latency_ms: 20 + 10 * next() });
        events.push({ type: "label", id, ts: ts + 1000, label: next() < score ? 1 : 0 });
    }
    await daemon.put("/models/credit/reference", events.filter((e) => e.type === "prediction").slice(0, 400).map((e) => ({ ...e, id: `r${e.id}` })));
    await daemon.post(events);
    await daemon.command("/experiments", { name: "credit-v4", model: "credit", control: "v3", treatment: "v4", metrics: [{ metric: "error_rate", margin_relative: 0.5 }] });
    await daemon.command("/silences", { matchers: ["model=\"credit\""], duration: "1h", comment: HOSTILE });
    return daemon.address;
}

async function visit(page, open, [path, wanted]) {
    await open(path);
    await page.locator(wanted).first().waitFor();
    await page.locator("#live[data-state=on]").waitFor();
}

async function no_finding(theme, { page, open, axe }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: theme });
    for (const one of pages) {
        await visit(page, open, one);
        assert.deepEqual(await axe(), [], `${one[0]} in ${theme}`);
        assert.equal(await page.locator("h1").count(), 1, `${one[0]} has one heading`);
        assert.equal(await page.locator("main img").count(), 0, `${one[0]}: names stay text`);
    }
    check();
}

export const axe_finds_nothing_on_any_page_in_the_light = (context) => no_finding("light", context);
export const axe_finds_nothing_on_any_page_in_the_dark = (context) => no_finding("dark", context);

export async function a_phone_shows_every_page_without_scrolling_sideways({ page, open }) {
    const check = strict(page);
    await page.setViewportSize({ width: 390, height: 844 });
    for (const one of pages) {
        await visit(page, open, one);
        await fits(page);
    }
    check();
}

// A4 less its margins, by a browser in its dark theme.
export async function what_is_printed_is_whole_and_on_white_and_says_where_it_is_from({ page, open, address }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: "dark", media: "screen" });
    for (const one of pages) {
        await visit(page, open, one);
        await page.setViewportSize({ width: 703, height: 1000 });
        await page.emulateMedia({ media: "print" });
        await page.evaluate(() => dispatchEvent(new Event("beforeprint")));

        const paper = await page.evaluate(() => {
            const light = (colour) => colour.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
            const main = document.querySelector("main"), edge = main.getBoundingClientRect().right + 1, style = getComputedStyle(main);
            const cut = [...main.querySelectorAll("td, th, canvas, svg, .badge")].filter((e) => e.getClientRects().length && !e.closest(".unseen") && e.getBoundingClientRect().right > edge);
            return { ink: light(style.color), scheme: getComputedStyle(document.documentElement).colorScheme, cut: cut.map((e) => e.outerHTML.slice(0, 80)), said: document.getElementById("printed").textContent };
        });

        assert.deepEqual(paper.cut, [], one[0]);
        assert.ok(paper.ink < 80 && paper.scheme === "light", `${one[0]}: ${paper.ink} ${paper.scheme}`);
        assert.ok(paper.said.includes(`${address}${one[0]}`) && /printed \d+ \w+ \d\d:\d\d, .*Z \(UTC\)$/.test(paper.said), paper.said);
        assert.ok(await page.locator(".top").isHidden());
        await page.emulateMedia({ media: "screen" });
        await page.evaluate(() => dispatchEvent(new Event("afterprint")));
        assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "dark");
        await page.setViewportSize({ width: 1280, height: 900 });
    }
    check();
}

export async function wide_screens_are_used_and_nothing_stands_out({ page, open }) {
    const check = strict(page);
    for (const width of [768, 1024, 1366, 1440, 1536, 1920, 2560]) {
        await page.setViewportSize({ width, height: 900 });
        for (const one of pages) {
            await visit(page, open, one);
            await fits(page);
            const [content, out] = await page.evaluate(() => {
                const main = document.querySelector("main"), { paddingLeft, paddingRight } = getComputedStyle(main), { width: w, right } = main.getBoundingClientRect();
                return [w - parseFloat(paddingLeft) - parseFloat(paddingRight), [...main.children].filter((e) => e.getBoundingClientRect().right > right - parseFloat(paddingRight) + 1).map((e) => e.className)];
            });
            assert.deepEqual(out, [], `${one[0]} at ${width}`);
            assert.equal(content, Math.min(width, 1880) - 40, `${one[0]} at ${width}`);
        }
    }
    check();
}

export async function every_time_tells_utc_on_hover({ page, open }) {
    const check = strict(page);
    for (const one of pages) {
        await visit(page, open, one);
        const bare = await page.evaluate(() => {
            const clock = /\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d:\d\d\b/, found = [];
            const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
            while (walk.nextNode()) {
                const text = walk.currentNode.textContent, holder = walk.currentNode.parentElement;
                if (clock.test(text) && !holder.closest("[title*='UTC'], .chip, svg, .unseen, .cause") && !/drifted in the newest window/.test(text)) found.push(text);
            }
            return found;
        });
        assert.deepEqual(bare, [], `${one[0]} shows times without UTC`);
    }
    check();
}

export async function letters_lead_to_the_pages({ page, open }) {
    const check = strict(page);
    await visit(page, open, pages[0]);
    for (const [key, title] of [["r", "Releases"], ["a", "Alerts"], ["s", "System"], ["o", "Overview"]]) {
        await page.keyboard.press(key);
        await page.locator("h1", { hasText: title }).waitFor();
    }
    check();
}

export async function a_slow_answer_is_waited_for_in_sight({ page, open }) {
    const check = strict(page);
    let free;
    const held = new Promise((resolve) => { free = resolve; });
    await page.route("**/models/credit/drift?**", async (route) => { await held; await route.continue(); });
    await open("/#/models/credit/drift");

    await page.locator("#busy:not([hidden])").waitFor();
    assert.equal(await page.locator("#busy").getAttribute("aria-label"), "Waiting for an answer");
    await page.locator("#busy p", { hasText: "Still computing" }).waitFor();
    free();
    await page.locator(".heat").waitFor();
    await page.locator("#busy").waitFor({ state: "hidden" });
    check();
}

export async function what_fails_says_so_and_can_be_tried_again({ page, open }) {
    const check = strict(page, /503|Failed to load/);
    let broken = true;
    await page.route("**/api/v1/experiments", (route) => (broken ? route.fulfill({ status: 503, contentType: "application/problem+json", body: "{\"status\":503,\"detail\":\"the database is busy\"}" }) : route.continue()));
    await open("/#/releases");
    await page.locator("#live[data-state=on]").waitFor();
    await page.locator(".message.error", { hasText: "the database is busy" }).waitFor();

    broken = false;
    await page.evaluate(() => document.querySelector(".message.error button").click()); // live updates may redraw it at any moment
    await page.locator(".models tbody tr").waitFor();
    check();
}

export async function without_labels_compare_says_so_instead_of_drawing_axes_around_nothing({ page, open, axe }) {
    const check = strict(page);
    await page.route("**/curves?*", async (route) => {
        const response = await route.fetch(), answer = await response.json();
        for (const row of answer.series) {
            if (row.points) row.points = [];
            if (row.bins) row.bins = row.bins.map((bin) => ({ ...bin, n: 0 }));
            if (row.matrix) row.matrix = row.matrix.map((line) => line.map(() => 0));
        }
        await route.fulfill({ response, json: answer });
    });

    await open("/#/models/credit/compare");
    await page.locator(".charts .chart-note").nth(2).waitFor();

    assert.deepEqual(await page.locator(".charts .chart").evaluateAll((cards) => cards.map((card) => card.getAttribute("aria-label"))), ["ROC curve", "Precision and recall", "Reliability"]);
    assert.match(await page.locator(".chart-note").first().textContent(), /no labelled prediction of this range has a score\. Choose a longer or an earlier range/);
    assert.equal(await page.locator(".square, .matrix").count(), 0);
    assert.deepEqual(await axe(), []);
    check();
}
