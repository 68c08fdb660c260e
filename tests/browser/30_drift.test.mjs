// The Drift page against a live daemon: a made-up model whose income moves at a known hour, with a
// hostile feature and category, and (with the reference data) real car loans.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOSTILE, HOUR, MINUTE, fits, random, shot, start, strict } from "./daemon.mjs";

const HOURS = 30, MOVES_AT = 22; // the hour from which income is higher and city has a new value
let daemon, begin;

function event(random, i, ts, moved) {
    const features = {
        income: Math.exp(10 + 0.5 * random.normal() + (moved ? 0.5 : 0)),
        age: random() < (moved ? 0.2 : 0.01) ? null : 20 + 50 * random(),
        city: moved && random() < 0.2 ? HOSTILE : ["berlin", "paris", "rome"][Math.floor(random() * 3)],
        [HOSTILE]: random(),
    };
    const version = random() < 0.5 ? "v1" : "v2";
    return { type: "prediction", id: `e${i}`, ts, model: "credit", version, features, score: random(), segment: { country: random() < 0.5 ? "de" : HOSTILE } };
}

export async function setup(context) {
    daemon = await start(context, { models: [
        { name: "credit", task: "binary", positive: 1, segments: ["country"], features: { age: { type: "numeric", min: 0, max: 60 } } },
        { name: "bare", task: "binary", positive: 1 },
        { name: "silent", task: "binary", positive: 1 },
        { name: "sparse", task: "binary", positive: 1 },
        { name: "wide", task: "binary", positive: 1 },
    ] });
    const next = random(7), events = [];
    begin = Math.floor((Date.now() - HOURS * HOUR) / HOUR) * HOUR;
    for (let i = 0; i < HOURS * 240; i++) events.push(event(next, i, begin + i * MINUTE / 4, i >= MOVES_AT * 240));
    const reference = random(8);
    await daemon.put("/models/credit/reference", Array.from({ length: 4000 }, (_, i) => event(reference, `r${i}`, begin - 4_000_000 + i, false)));
    await daemon.post(events);
    await daemon.post(Array.from({ length: 300 }, (_, i) => ({ type: "prediction", id: `b${i}`, ts: begin + i * MINUTE, model: "bare", version: "v1", features: { x: i }, score: 0.5 })));
    const many = (x) => Object.fromEntries(Array.from({ length: 20 }, (_, k) => [`f${k}`, x + k]));
    await daemon.post(Array.from({ length: 200 }, (_, i) => ({ type: "prediction", id: `w${i}`, ts: begin + 20 * HOUR + i * MINUTE, model: "wide", version: "v1", features: many(i), score: 0.5 })));
    const few = (n, from) => Array.from({ length: n }, (_, i) => ({ ...event(reference, `s${from}${i}`, from + i * 3 * MINUTE, false), model: "sparse", segment: undefined }));
    await daemon.put("/models/sparse/reference", few(500, begin - 100 * HOUR));
    await daemon.post(few(HOURS * 20, begin));
    return daemon.address;
}

export async function the_overview_counts_what_drifted({ page, open }) {
    const check = strict(page);

    await open("/#/");
    const drift = (name) => page.locator("tbody tr", { has: page.locator("th", { hasText: name }) }).locator("td[data-label=drift]");
    await drift("credit").locator("a", { hasText: /^2 of \d+$/ }).waitFor();

    assert.equal(await drift("credit").locator("a").getAttribute("href"), "#/models/credit/drift");
    await drift("bare").locator("small", { hasText: "no reference" }).waitFor();
    check();
}

const row = (page, name) => page.locator(".heat tbody tr", { has: page.locator("th", { hasText: name }) });

async function open_drift(page, open, params = "", model = "credit") {
    await open(`/#/models/${model}/drift${params}`);
    await page.locator(".detail-grid").waitFor();
}

export async function times_over_the_columns_are_read_whole({ page, open }) {
    await open_drift(page, open);

    const hidden = await page.evaluate(() => [...document.querySelectorAll(".heat thead .tick span")].filter((tick) => {
        const box = tick.getBoundingClientRect();
        return document.elementFromPoint(box.right - 2, (box.top + box.bottom) / 2) !== tick;
    }).map((tick) => tick.textContent));

    assert.ok(await page.locator(".heat thead .tick span", { hasText: /^\d+ [A-Z]/ }).count() > 0, "a day among them");
    assert.deepEqual(hidden, []);
}

export async function one_of_many_features_is_found_by_part_of_its_name({ page, open, axe }) {
    const check = strict(page), names = page.locator(".heat tbody th");
    await open_drift(page, open, "", "wide");
    assert.ok(await names.count() >= 20);

    await page.locator("#find").fill("F1");
    await page.locator(".notes", { hasText: /^.*11 of \d+ features have “f1” in their name\.$/ }).waitFor();
    assert.deepEqual((await names.allTextContents()).sort(), ["f1", ...Array.from({ length: 10 }, (_, k) => `f1${k}`)].sort());
    await page.locator("#find").press("Enter");
    await page.waitForURL(/find=f1/);
    assert.deepEqual(await axe(), []);
    await page.reload();
    await page.locator(".detail-grid").waitFor();
    assert.equal(await names.count(), 11);

    await page.locator("#find").fill("nothing of that kind");
    await page.locator(".notes", { hasText: "has “nothing of that kind” in its name." }).waitFor();
    assert.equal(await names.count(), 0);
    await page.locator("#find").fill("");
    assert.ok(await names.count() >= 20);
    check();
}

export async function what_moved_stands_first_and_its_distributions_are_open({ page, open, axe }) {
    const check = strict(page);

    await open_drift(page, open);

    const names = await page.locator(".heat tbody th").allTextContents();
    assert.deepEqual(names.slice(0, 2).sort(), ["city", "income"]);
    assert.ok(names.includes(HOSTILE), "every feature has a row");
    assert.match(await page.locator(".block-head p").first().textContent(), /^2 of \d+ drifted in the newest window/);
    const income = row(page, /^income$/).locator("td[data-level]");
    const marks = await income.evaluateAll((cells) => cells.map((cell) => cell.querySelector("i") !== null));
    assert.equal(marks.lastIndexOf(false), marks.length - 1 - (HOURS - MOVES_AT), "marked from the hour it moved");
    assert.match(await income.last().getAttribute("aria-label"), /^income, .*: (ks|psi|js_distance|wasserstein_norm|hellinger) 0\.\d+ is [\d.]+ × its threshold [\d.]+, drifted, n 240$/);
    assert.match(await page.locator(".notes").textContent(), /^Compared with reference [0-9a-f]{16}, 4,000 events, set by the API/);
    await shot(page, "drift");
    assert.deepEqual(await axe(), []);
    check();
}

export async function windows_that_hold_too_little_give_way_to_longer_ones({ page, open, axe }) {
    const check = strict(page);

    await open_drift(page, open, "", "sparse");

    assert.match(await page.locator(".notes").textContent(), /^Windows of 6h: those of 1h hold about 20 events each, too few to tell a change from chance\./);
    assert.match(await page.locator("#window").textContent(), /^auto \(6h\)/);
    assert.match(await row(page, /^income$/).locator("td[data-level]").nth(1).getAttribute("aria-label"), /n 120$/);
    assert.doesNotMatch(page.url(), /window=/, "the address says what was chosen, not what was found");
    assert.deepEqual(await axe(), []);
    await page.locator("#use-window", { hasText: "Show 1h anyway" }).click();
    await page.locator(".notes", { hasText: "A window holds about 20 events: only a large change can be told from chance." }).waitFor();
    assert.match(page.url(), /window=1h/);
    await page.locator("#use-window", { hasText: "Use 6h" }).click();
    await page.locator(".notes", { hasText: "A window holds" }).waitFor({ state: "hidden" });
    assert.match(page.url(), /window=6h/);
    check();
}

export async function a_cell_opens_its_window_and_the_address_keeps_it({ page, open }) {
    const check = strict(page);
    await open_drift(page, open);

    await row(page, /^income$/).locator("td[data-level]").nth(-12).click();
    await page.locator(".detail-head .badge", { hasText: "as the reference" }).waitFor();
    const url = page.url();
    assert.match(url, /feature=income&at=\d+/);

    await page.goto("about:blank");
    await page.goto(url);
    await page.locator(".detail-head .badge", { hasText: "as the reference" }).waitFor();
    assert.equal(await page.locator(".detail-head h2").textContent(), "income numeric");
    assert.equal(await page.locator(".heat td[aria-selected=true]").count(), 1);
    check();
}

export async function the_numbers_are_those_of_the_api({ page, open }) {
    const check = strict(page);
    await open_drift(page, open, "?feature=income");
    const at = Number(new URL(page.url().replace("#/", "")).searchParams.get("at")) || begin + (HOURS - 1) * HOUR;
    const d = await daemon.get(`/models/credit/distribution?feature=income&from=${at}&to=${at + HOUR}`);

    const median = await page.locator("section[aria-label=Quantiles] tr", { hasText: "median" }).locator("td").allTextContents();

    const number = (text) => Number(text.replace(/[,+]/g, ""));
    const wanted = d.quantiles.find((q) => q.q === 0.5);
    assert.ok(Math.abs(number(median[0]) - wanted.reference) <= 0.5, `${median[0]} is ${wanted.reference}`);
    assert.ok(Math.abs(number(median[1]) - wanted.current) <= 0.5, `${median[1]} is ${wanted.current}`);
    assert.equal(d.rates.reference.n, 4000);
    check();
}

export async function missing_and_invalid_values_show_with_their_change({ page, open }) {
    const check = strict(page);
    await open_drift(page, open, `?feature=age&at=${begin + (HOURS - 1) * HOUR}`);

    const cells = async (name) => page.locator("section[aria-label=Rates] tr", { hasText: name }).locator("td").allTextContents();
    const percent = (text) => Number(/[\d.]+/.exec(text)[0]);
    const missing = await cells("missing"), invalid = await cells("invalid");
    assert.ok(percent(missing[0]) < 2 && percent(missing[1]) > 12, missing.join(" | "));
    assert.match(missing[2], /^\+[12]\d(\.\d)? pp/);
    assert.ok(percent(invalid[0]) > 15, `a fifth of the ages is over 60: ${invalid[0]}`);
    assert.match(await page.locator("section[aria-label=Rates] tr", { hasText: "invalid" }).textContent(), /range \d+/);
    check();
}

export async function arrow_keys_walk_the_map_and_enter_opens({ page, open }) {
    const check = strict(page);
    await open_drift(page, open);
    await page.locator(".heat td[tabindex='0']").focus();

    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    const label = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    await page.keyboard.press("Enter");
    await page.waitForFunction((name) => document.querySelector(".detail-head h2")?.textContent.startsWith(name), label.split(",")[0]);
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), label, "the focus stays where it was");
    assert.equal(await page.locator(".heat td[tabindex='0']").count(), 1);
    check();
}

export async function hostile_names_are_only_text({ page, open, axe }) {
    const check = strict(page);
    await open_drift(page, open, "?feature=city");
    assert.ok((await page.locator(".overlay text").allTextContents()).some((text) => text.includes("<img src=x onerror")));

    await open_drift(page, open, `?feature=${encodeURIComponent(HOSTILE)}&segment=${encodeURIComponent(`country:${HOSTILE}`)}`);
    await page.locator(".detail-head h2", { hasText: HOSTILE }).waitFor();
    assert.equal(await page.locator("h1").textContent(), `credit country:${HOSTILE}`);
    assert.equal(await page.locator("main img").count(), 0);
    assert.deepEqual(await axe(), []);
    check();
}

export async function version_statistic_and_window_are_in_the_address({ page, open }) {
    const check = strict(page);
    await open_drift(page, open);

    await page.locator("#statistic").selectOption("psi");
    await page.waitForFunction(() => /psi/.test(location.hash));
    await page.locator("#version").selectOption("v2");
    await page.locator("#window").selectOption("6h");
    await page.waitForFunction(() => document.querySelectorAll(".heat tbody tr:first-child td[data-level]").length < 8);
    assert.match(page.url(), /statistic=psi/);
    assert.match(page.url(), /version=v2/);
    const answer = await daemon.get("/models/credit/drift?feature=income&version=v2&window=6h");
    const last = answer.features[0].points.findLast((p) => p.n > 0);
    assert.equal(await row(page, /^income$/).locator(".heat-last").textContent(), String(Number(last.psi.toPrecision(4))));
    check();
}

export async function files_hold_what_is_shown({ page, open }) {
    const check = strict(page);
    await open_drift(page, open);
    const saved = async (name) => {
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
        return readFileSync(await download.path());
    };

    const csv = String(await saved("CSV of drift of credit")).split("\r\n");
    assert.match(csv[0], /^feature,kind,start,end,n,missing_rate,invalid_rate,/);
    assert.ok(csv.length > 7 * 24, `${csv.length} lines`);
    for (const name of ["PNG of drift of credit", `PNG of distribution of ${await page.locator(".detail-head h2").evaluate((e) => e.firstChild.textContent)}`])
        assert.equal((await saved(name)).subarray(1, 4).toString(), "PNG");
    check();
}

export async function without_a_reference_or_data_it_says_what_to_do({ page, open }) {
    const check = strict(page);
    await open("/#/models/bare/drift");
    await page.locator(".notes", { hasText: "There is no reference to compare with" }).waitFor();
    assert.match(await page.locator(".notes").textContent(), /assay reference load -c assay\.yaml --model bare EVENTS\.jsonl/);

    await open(`/#/models/credit/drift?from=${begin - 40 * HOUR}&to=${begin - 16 * HOUR}`);
    await page.locator("h2", { hasText: "No predictions in this range" }).waitFor();
    await page.locator("button", { hasText: "Show the newest" }).click();
    await page.locator(".heat td[data-level='0']").first().waitFor();

    const why = "the reference's time is only kept in longer panes now";
    await page.route("**/models/bare/drift?**", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...await response.json(), reference: null, reference_why: why } });
    });
    await open("/#/models/bare/drift");
    await page.locator(".notes", { hasText: `There is nothing to compare with: ${why}.` }).waitFor();
    check();
}

export async function the_dark_and_a_phone_show_it_all({ page, open, axe }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await open_drift(page, open);
    await shot(page, "drift-dark");
    assert.deepEqual(await axe(), []);

    await page.setViewportSize({ width: 390, height: 844 });
    await open_drift(page, open, "?feature=city");
    await fits(page);
    await shot(page, "drift-phone", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}
