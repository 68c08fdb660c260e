// The page against a live daemon that was sent a day of a world with a release in it (world.mjs): what
// it shows, that it follows what is committed, that hostile names stay text, and that axe finds nothing.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOSTILE, shot, start, strict } from "./daemon.mjs";
import { World } from "./world.mjs";

let daemon = null, world = null;

export async function setup(context) {
    world = new World();
    daemon = await start(context, {
        models: ["credit", "churn"].map((name) => ({ name, task: "binary", positive: 1, segments: ["country"], label_horizon: "2h" })),
        auto_models: { task: "binary", max: 10 },
    });
    await daemon.put("/models/credit/reference", world.reference());
    await daemon.post(world.history());
    await daemon.ask("PUT", "/models/credit/versions/v4", JSON.stringify({ framework: "keras 3", notes: HOSTILE }));
    const bad = Array.from({ length: 12 }, (_, i) => (i % 4 ? `{"type":"prediction", ${HOSTILE}` : JSON.stringify({ type: "prediction", id: HOSTILE, ts: world.end })));
    for (const one of bad) await daemon.ask("POST", "/events", one);
    return daemon.address;
}

// One more minute of data.
const tick = () => daemon.post(world.next());

async function open_model(page, open, params = "") {
    await open(`/#/models/credit${params}`);
    await page.locator(".charts canvas").first().waitFor();
}

export async function the_overview_has_a_line_for_each_model({ page, open, axe }) {
    const check = strict(page);

    await open("/");
    await page.locator("tbody tr").nth(2).locator(".spark path").first().waitFor();

    assert.equal(await page.locator(".models tbody tr").count(), 3);
    const credit = page.locator(".models tbody tr", { hasText: "credit" });
    assert.match(await credit.textContent(), /2 versions/);
    assert.match(await credit.textContent(), /receiving/);
    assert.match(await credit.locator("td").nth(1).textContent(), /0\.[6-9]\d+roc_auc/);
    assert.equal(await page.locator("#live").getAttribute("data-state"), "on");
    await shot(page, "overview");
    assert.deepEqual(await axe(), []);
    check();
}

export async function what_is_expected_before_the_labels_stands_beside_what_came_true({ page, open, axe }) {
    const check = strict(page);

    await open_model(page, open, "?metrics=roc_auc,accuracy,log_loss");

    const auc = page.locator(".chart", { has: page.locator("h2", { hasText: /^roc_auc/ }) });
    assert.match(await auc.locator(".reading").first().textContent(), /^v3.*expected 0\.\d+/);
    assert.match(await auc.locator(".canvas").getAttribute("aria-label"), /expected 0\.\d+ before its labels came/);
    const loss = page.locator(".chart", { has: page.locator("h2", { hasText: /^log_loss/ }) });
    assert.doesNotMatch(await loss.locator(".reading").first().textContent(), /expected/);
    await auc.getByRole("button", { name: /table/i }).click();
    const rows = await auc.locator("tbody tr").all();
    const expected = await Promise.all(rows.map(async (row) => (await row.locator("td").allTextContents())[3]));
    /* The newest window may have just begun; of the others most have their estimate, labels or not. */
    assert.ok(expected.filter((text) => /^0\.\d+$/.test(text)).length > expected.length / 2, expected.join(" "));
    for (const text of expected) assert.match(text, /^(0\.\d+|–)$/);
    await shot(page, "estimates-table");
    await auc.getByRole("button", { name: /table/i }).click();
    await shot(page, "estimates");
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_model_shows_both_versions_with_intervals_on_one_axis({ page, open, axe }) {
    const check = strict(page);

    await open_model(page, open);

    const auc = page.locator(".chart", { has: page.locator("h2", { hasText: /^roc_auc/ }) });
    const readings = await auc.locator(".reading").allTextContents();
    assert.equal(readings.length, 2);
    assert.match(readings[0], /^v3[01](\.\d+)?0\.\d+ to [01]\.\d+n \d+/);
    assert.match(readings[1], /^v4/);
    // The newest window may hold a handful of labels: then it is 1, or has no interval.
    assert.match(
        await auc.locator(".canvas").getAttribute("aria-label"),
        /^roc_auc over time\. v3: [01](\.\d+)?( \(.* to .*\))? at .*, between 0\.\d+ and [01](\.\d+)? over \d+ windows/,
    );
    assert.equal(await page.locator(".charts .chart").count(), 9);
    await shot(page, "model");
    assert.deepEqual(await axe(), []);
    check();
}

export async function values_on_the_page_are_those_of_the_api({ page, open, address }) {
    const check = strict(page);
    await open_model(page, open, "?range=6h&window=1h&metrics=count");
    await page.locator(".charts .chart-tools button", { hasText: "Table" }).first().click();
    const href = await page.locator(".charts .chart-tools a", { hasText: "JSON" }).first().getAttribute("href");
    const answer = await (await fetch(address + href.replace("&format=json", ""))).json();

    const v3 = answer.series.find((s) => s.version === "v3").points.at(-1);
    const cells = await page.locator(".charts .chart-table tbody tr").first().locator("td").allTextContents();

    assert.equal(Number(cells[0].replace(/,/g, "")), v3.value);
    check();
}

export async function the_worst_slice_stands_first({ page, open }) {
    const check = strict(page);
    await open_model(page, open);
    await page.locator(".slices tbody tr").first().waitFor();

    const first = page.locator(".slices tbody tr").first();
    assert.match(await first.textContent(), /^fr/);
    assert.match(await first.textContent(), /▼ worse/);
    assert.equal(await first.locator(".spark path").count(), 2, "a line a version");
    assert.match(await first.locator("svg.intervals").getAttribute("aria-label"), /v3 [01](\.\d+)? \(.*\); v4 [01](\.\d+)?/);

    await first.locator("button").click();
    await page.locator("h1 small", { hasText: "country:fr" }).waitFor();
    assert.match(page.url(), /segment=country%3Afr/);
    check();
}

export async function versions_are_compared_side_by_side({ page, open, axe }) {
    const check = strict(page);
    await open_model(page, open);
    await page.locator(".tabs a", { hasText: "Compare" }).click();
    await page.locator(".curve").first().waitFor();

    const auc = page.locator("tr", { has: page.locator("th", { hasText: /^roc_auc/ }) });
    assert.match(await auc.locator("td").nth(1).textContent(), /▼ worse/);
    assert.equal(await page.locator("section[aria-label='ROC curve'] .curve").count(), 2);
    assert.match(await page.locator("section[aria-label='ROC curve'] svg").getAttribute("aria-label"), /^ROC curves\. v3: area 0\.\d+; v4: area 0\.\d+$/);
    const { series } = await daemon.get("/models/credit/metrics?metric=ece&version=v3&window=1d&step=15m");
    const ece = await page.locator("section[aria-label='Reliability'] .reading b").first().textContent();
    assert.ok(Math.abs(Number(ece.replace("ECE ", "")) - series[0].points.at(-1).value) < 1e-3, `${ece}, the API: ${series[0].points.at(-1).value}`);
    assert.equal(await page.locator(".matrix").count(), 2);
    await shot(page, "compare", { fullPage: true });
    const [from, to] = await page.locator(".lead time").evaluateAll((times) => times.map((time) => Date.parse(time.title.split(" ")[0])));
    const minutes = await daemon.get(`/models/credit/metrics?metric=count&version=v3&from=${from}&to=${to}&window=1m`);
    const n = minutes.series[0].points.reduce((sum, point) => sum + point.n, 0);
    const counted = await page.locator("section[aria-label=Metrics] tbody tr", { has: page.locator("th", { hasText: /^count/ }) }).locator("td b").first().textContent();
    assert.equal(counted, `${Number((n / 1000).toPrecision(3))}k`, "the table is of the whole range, as the curves are");
    await page.locator("#version-1").click();
    await page.waitForFunction(() => document.querySelectorAll(".matrix").length === 1);
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_card_of_the_comparison_is_saved_as_files({ page, open }) {
    const check = strict(page);
    await open("/#/models/credit/compare");
    await page.locator(".curve").first().waitFor();
    const saved = async (name) => {
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
        return readFileSync(await download.path());
    };

    assert.match(String(await saved("CSV of ROC curve")), /^version,(\w+,)*fpr/);
    assert.equal(JSON.parse(await saved("JSON of Reliability"))[0].version, "v3");
    assert.equal((await saved("PNG of ROC curve")).subarray(1, 4).toString(), "PNG");
    assert.match(String(await saved("CSV of confusion")), /^version,label,predicted,n\r\nv3,/);
    check();
}

export async function a_commit_appears_without_reloading({ page, open }) {
    const check = strict(page);
    await open_model(page, open, "?range=1h&metrics=count");
    await page.evaluate(() => { window.same_page = true; });
    const when = page.locator(".lead time");
    const before = await when.getAttribute("title");
    await page.locator("#live[data-state=on]").waitFor();

    await tick();
    await page.waitForFunction((text) => document.querySelector(".lead time").title !== text, before);

    assert.equal(await page.evaluate(() => window.same_page), true);
    check();
}

export async function the_url_holds_the_view({ page, open }) {
    const check = strict(page);
    await open_model(page, open);

    await page.locator("#range-6h").click();
    await page.locator("#window").selectOption("1h");
    await page.locator("#version-0").click();
    await page.waitForFunction(() => document.querySelectorAll(".charts .chart:first-child .reading").length === 1);
    const url = page.url();
    assert.match(url, /range=6h/);
    assert.match(url, /window=1h/);
    assert.match(url, /hide=v3/);

    await page.goto("about:blank");
    await page.goto(url);
    await page.locator(".charts canvas").first().waitFor();
    assert.equal(await page.locator("#range-6h").getAttribute("aria-pressed"), "true");
    assert.equal(await page.locator("#window").inputValue(), "1h");
    assert.equal(await page.locator(".charts .chart:first-child .reading").count(), 1);
    check();
}

export async function a_hostile_name_is_only_text({ page, open }) {
    const check = strict(page);

    await open("/");
    await page.locator(".models a", { hasText: HOSTILE }).click();
    await page.locator(".charts canvas").first().waitFor();
    assert.equal(await page.locator("h1").textContent(), HOSTILE);
    assert.equal(await page.locator("main img").count(), 0);

    await open("/#/models/credit");
    await page.locator("td", { hasText: HOSTILE }).first().waitFor();
    await open("/#/system");
    await page.locator("code.payload", { hasText: HOSTILE }).first().waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    check();
}

export async function the_system_page_tells_what_was_refused_and_why({ page, open, axe }) {
    const check = strict(page);

    await open("/#/system");
    await page.locator(".bars li").first().waitFor();
    assert.match(await page.locator(".facts").textContent(), /Stateready/);
    assert.match(await page.locator("main").textContent(), /Receivers and sinks.*No receiver is configured: alerts are shown here and told nobody/);
    assert.deepEqual(await page.locator(".bars li b").allTextContents(), ["9", "3"]);
    await page.locator(".bars button", { hasText: "missing_model" }).click();
    await page.waitForFunction(() => document.querySelectorAll("code.payload").length === 3);

    await shot(page, "system");
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_keyboard_is_enough({ page, open }) {
    const check = strict(page);
    await open_model(page, open);

    const canvas = page.locator(".chart .canvas").first();
    await canvas.focus();
    const before = await page.locator(".chart .when").first().textContent();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await page.locator(".chart .when").first().textContent(), before);
    assert.equal(await page.locator(".chart .when").first().textContent(), await page.locator(".chart .when").nth(3).textContent(), "one cross-hair for all");
    await page.keyboard.press("[");
    await page.locator("#range-6h[aria-pressed=true]").waitFor();
    await page.keyboard.press("s");
    await page.locator("h1", { hasText: "System" }).waitFor();
    await page.keyboard.press("?");
    assert.equal(await page.locator("dialog#keys").evaluate((d) => d.open), true);
    check();
}

export async function a_phone_shows_all_without_scrolling_sideways({ page, open }) {
    const check = strict(page);
    await page.setViewportSize({ width: 390, height: 844 });
    for (const path of ["/", "/#/models/credit", "/#/models/credit/compare", "/#/system"]) {
        await open(path);
        await page.locator(".models tbody tr, .chart canvas, .curve, .facts").first().waitFor();
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${path} is ${over} px too wide`);
    }
    check();
}

export async function dark_keeps_its_contrast({ page, open, axe }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await open_model(page, open);
    await page.locator(".slices tbody tr").first().waitFor();

    assert.deepEqual(await axe(), []);
    await shot(page, "model-dark");
    check();
}

export async function what_is_not_there_is_told_with_the_next_step({ page, open }) {
    await open("/#/models/credits");
    await page.locator(".message.error").waitFor();
    assert.match(await page.locator(".message.error").textContent(), /credit/);
    await open("/#/nowhere");
    await page.locator(".message.error", { hasText: "There is no page" }).waitFor();
    await page.locator(".message a", { hasText: "Overview" }).click();
    await page.locator("h1", { hasText: "Overview" }).waitFor();
}

export async function the_whole_page_is_small({ page, open }) {
    let bytes = 0;
    const devtools = await page.context().newCDPSession(page);
    devtools.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
    await devtools.send("Network.enable");
    await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
    await open_model(page, open);
    await page.locator(".slices tbody tr").first().waitFor();
    assert.ok(bytes > 50_000 && bytes < 300_000, `${bytes} bytes`);
}
