// Every page of a daemon that was fed with the reference data, from the sign-in on: what they show is what
// scikit-learn, SciPy and NannyML computed. The release is made of the same events, served as two versions by the
// bucket of their unit; the second one turns a part of its predictions round.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { HOUR, program, shared, shot, start, strict } from "./daemon.mjs";
import { bucket } from "./traffic.mjs";

let daemon, token, loans, prices;

const release = {
    name: "loans-v2", model: "loans", control: "v1", treatment: "v2", salt: "loans-v2",
    steps: [{ weight: 20, min_duration: "30m", min_units: 100 }, { weight: 50, min_duration: "1h", min_units: 500 }, { weight: 100, min_duration: "1h" }],
    metrics: [{ metric: "accuracy", role: "guardrail", margin: 0.03 }, { metric: "latency_mean", role: "guardrail", margin_relative: 0.2 }],
};

const text_of = (path) => gunzipSync(readFileSync(path)).toString();

// The stream, three days on (when the labels of the others have come), as the versions of the release would have
// served it at this weight.
function served(line, weight) {
    const event = JSON.parse(line), unit = `u-${event.id}`;
    event.id = `release-${event.id}`;
    event.ts += 72 * HOUR;
    if (event.type !== "prediction") return event;
    const version = bucket(release.salt, unit) < weight / 100 ? "v2" : "v1", wrong = version === "v2" && bucket("turned", unit) < 0.25;
    return { ...event, model: "loans", unit, version, ...(wrong ? { prediction: 1 - event.prediction } : {}) };
}

async function play_release(file) {
    const lines = text_of(file).trim().split("\n");
    await daemon.command("/experiments", release);
    await daemon.command(`/experiments/${release.name}/start`, { reason: "a new model of the same loans" });
    for (let at = 0; at < lines.length; at += 500) {
        const { state, weight } = await daemon.get(`/experiments/${release.name}`);
        if (state === "rolled_back") return;
        await daemon.post(lines.slice(at, at + 500).map((line) => served(line, weight)));
    }
    throw new Error(`not rolled back: ${JSON.stringify(await daemon.get(`/experiments/${release.name}`))}`);
}

export async function setup(context) {
    const file = (set, name) => shared(context, "monitoring", set, name), tokens = join(context.folder, "tokens.txt");
    [loans, prices] = ["car_loan", "car_price"].map((set) => JSON.parse(readFileSync(file(set, "expected.json"))));
    const made = spawnSync(program(context), ["token", "new", "ann", "admin", "--file", tokens], { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    token = made.stdout.trim();
    const price_events = join(context.folder, "prices.jsonl"); // under ids of their own: both sets count from a000000
    writeFileSync(price_events, text_of(file("car_price", "events.jsonl.gz")).replaceAll('"id":"a', '"id":"p'));
    const model = (name, task, more) => ({ name, task, label_horizon: "49h", ...more });
    daemon = await start(context, {
        http: { tokens },
        models: [
            model("car_loan", "binary", { segments: ["size_of_downpayment"], reference: { file: file("car_loan", "reference.jsonl.gz") } }),
            model("car_price", "regression", { reference: { file: file("car_price", "reference.jsonl.gz") } }),
            model("loans", "binary"),
        ],
        alerts: [{ name: "car-value-moved", model: "car_loan", drift: "feature", feature: "car_value", window: "1h", every: "10m", severity: "warning" }],
    }, { token, replay: [file("car_loan", "events.jsonl.gz"), price_events] });
    await play_release(file("car_loan", "events.jsonl.gz"));
    return daemon.address;
}

async function open_signed_in(page, open, path, wanted) {
    await page.context().clearCookies();
    await open(path);
    await page.locator("#token").fill(token);
    await page.locator("main button[type=submit]").click();
    await page.locator(wanted).first().waitFor();
}

const span = (first, last = first) => `from=${first.start}&to=${last.end}`;
const whole = (expected) => span(expected.windows[0], expected.windows.at(-1));
const last = (expected) => expected.windows.at(-1);

// The figure that stands there is the wanted one, to the digits that are shown.
function shows(text, wanted, scale = 1) {
    const [figure] = text.replaceAll(",", "").match(/-?\d+(\.\d+)?/), digits = figure.split(".")[1]?.length ?? 0;
    assert.ok(Math.abs(Number(figure) - wanted * scale) <= 0.5000001 * 10 ** -digits, `${text}, expected ${wanted * scale}`);
}

export async function signing_in_leads_to_the_overview_of_all_models({ page, open, axe }) {
    const check = strict(page, /401/);
    await page.context().clearCookies();
    await open("/");
    await page.locator("#token").waitFor();
    assert.equal(await page.locator(".models").count(), 0);
    assert.deepEqual(await axe(), []);

    await open_signed_in(page, open, "/", ".models tbody tr");
    assert.equal(await page.locator(".models tbody tr").count(), 3);
    const row = (name) => page.locator(".models tbody tr", { has: page.locator(`a[href="#/models/${name}"]`) });

    for (const [name, expected] of [["car_loan", loans], ["car_price", prices]]) {
        const { labels_never, predictions } = expected.stream;
        shows(await row(name).locator("td[data-label=labels] b").textContent(), 1 - labels_never / predictions, 100);
    }
    assert.match(await row("car_loan").locator("td[data-label=state]").textContent(), /warning · 1 firing/);
    await shot(page, "every-overview");
    check();
}

// The windows as the chart's table has them, oldest first: [time, value, interval, n, …].
async function table_of(page, metric) {
    const chart = page.locator(`.chart[aria-label="${metric}"]`);
    await chart.getByRole("button", { name: "Table" }).click();
    await chart.locator("tbody tr").first().waitFor();
    const rows = await chart.locator("tbody tr").evaluateAll((lines) => lines.map((line) => [...line.cells].map((cell) => cell.textContent)));
    return rows.reverse();
}

async function model_shows({ page, open, axe }, name, expected, metrics) {
    const check = strict(page);
    await open_signed_in(page, open, `/#/models/${name}?${whole(expected)}&window=1h&metrics=${metrics.join(",")},count`, ".chart canvas");
    for (const metric of metrics) {
        const rows = await table_of(page, metric);
        assert.equal(rows.length, expected.windows.length);
        expected.windows.forEach((window, i) => shows(rows[i][1], window.metrics[metric]));
    }
    const counts = await table_of(page, "count");
    assert.deepEqual(counts.map((row) => row[1].replaceAll(",", "")), expected.windows.map((window) => String(window.n)));
    await shot(page, `every-${name}`);
    assert.deepEqual(await axe(), []);
    check();
}

export const a_classifier_is_as_good_as_scikit_learn_says = (context) => model_shows(context, "car_loan", loans, ["roc_auc", "log_loss", "f1", "ece", "brier", "mcc"]);
export const a_regression_is_as_good_as_scikit_learn_says = (context) => model_shows(context, "car_price", prices, ["mae", "rmse", "r2", "bias"]);

export async function data_that_is_only_kept_by_the_hour_is_shown_by_the_hour({ page, open }) {
    const check = strict(page);
    await open_signed_in(page, open, `/#/models/car_loan?${whole(loans)}&metrics=roc_auc`, ".chart canvas");

    assert.equal(await page.locator("#window option:checked").textContent(), "auto (1h)");
    assert.equal(await page.locator(".notes .bad").count(), 0);
    assert.equal((await table_of(page, "roc_auc")).length, loans.windows.length);
    check();
}

export async function a_feature_drifts_from_the_window_on_where_nannyml_finds_it({ page, open, axe }) {
    const check = strict(page), feature = "car_value", alarms = loans.windows.map((window) => window.drift[feature].nannyml.kolmogorov_smirnov_alert);
    await open_signed_in(page, open, `/#/models/car_loan/drift?${whole(loans)}&window=1h&feature=${feature}`, ".detail-grid");

    const told = await page.locator(".heat tr", { has: page.getByText(feature, { exact: true }) }).locator("[role=gridcell]").evaluateAll((cells) => cells.map((cell) => cell.getAttribute("aria-label")));
    assert.deepEqual(told.map((text) => /drifted/.test(text) && !/not drifted/.test(text)), alarms);
    shows(await page.locator("section[aria-label=Statistics] tr", { has: page.locator("code", { hasText: /^ks$/ }) }).locator("td.number").first().textContent(), last(loans).drift[feature].scipy.ks);
    await page.mouse.move(0, 0); // no cell under it in the picture
    await shot(page, "every-drift", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}

export async function the_alert_on_it_fires_when_that_window_ends({ page, open, axe }) {
    const check = strict(page), drifted = loans.windows.find((window) => window.drift.car_value.nannyml.kolmogorov_smirnov_alert);
    await open_signed_in(page, open, "/#/alerts", ".alert");

    const alert = page.locator(".alert", { hasText: "car-value-moved" });
    assert.match(await alert.textContent(), /the strongest input is car_value: ks 0\.4/);
    const { items: [{ since }] } = await daemon.get("/alerts");
    assert.equal(since, drifted.end);
    assert.equal(await alert.locator("time").first().getAttribute("title"), `${new Date(since).toISOString().replace(".000", "")} (UTC)`);
    assert.deepEqual(await axe(), []);
    check();
}

export async function one_window_is_compared_to_the_digit({ page, open, axe }) {
    const check = strict(page), { metrics } = last(loans);
    await open_signed_in(page, open, `/#/models/car_loan/compare?${span(last(loans))}`, ".matrix");

    const cell = (metric) => page.locator("section[aria-label=Metrics] tbody tr", { has: page.locator("th", { hasText: new RegExp(`^${metric}`) }) }).locator("td b").first().textContent();
    for (const metric of ["roc_auc", "f1", "accuracy", "log_loss"]) shows(await cell(metric), metrics[metric]);
    shows(await page.locator(".chart[aria-label='ROC curve'] .reading b").textContent(), metrics.roc_auc);
    shows(await page.locator(".chart[aria-label='Precision and recall'] .reading b").textContent(), metrics.pr_auc);
    shows((await page.locator(".chart[aria-label=Reliability] .reading b").textContent()).replace("ECE ", ""), metrics.ece);
    assert.deepEqual((await page.locator(".matrix td b").allTextContents()).map(Number), [metrics.tp, metrics.fn, metrics.fp, metrics.tn]);
    await shot(page, "every-compare", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}

export async function two_windows_stand_side_by_side({ page, open, axe }) {
    const check = strict(page), [before, now] = loans.windows.slice(-2).map((window) => window.metrics);
    await open_signed_in(page, open, `/#/models/car_loan/compare?${span(last(loans))}`, ".matrix");
    await page.locator("#beside").selectOption("before");
    await page.locator(".matrix").nth(1).waitFor();

    for (const metric of ["roc_auc", "f1", "log_loss"]) {
        const cells = await page.locator("section[aria-label=Metrics] tbody tr", { has: page.locator("th", { hasText: new RegExp(`^${metric}`) }) }).locator("td > b").allTextContents();
        shows(cells[0], before[metric]);
        shows(cells[1], now[metric]);
    }
    const areas = await page.locator(".chart[aria-label='ROC curve'] .reading b").allTextContents();
    shows(areas[0], before.roc_auc);
    shows(areas[1], now.roc_auc);
    assert.match(page.url(), /beside=before/);
    await shot(page, "every-two-windows", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}

export async function two_slices_stand_side_by_side({ page, open, axe }) {
    const check = strict(page), { start, end } = last(loans), segments = ["size_of_downpayment:10%", "size_of_downpayment:40%"];
    const wanted = await Promise.all(segments.map((segment) => daemon.get(`/models/car_loan/metrics?metric=accuracy&segment=${encodeURIComponent(segment)}&from=${start}&to=${end}&window=1h`)));
    await open_signed_in(page, open, `/#/models/car_loan/compare?${span(last(loans))}&segment=${encodeURIComponent(segments[1])}&beside=${encodeURIComponent(segments[0])}`, ".matrix");

    assert.deepEqual(await page.locator("section[aria-label=Metrics] thead th").allTextContents().then((heads) => heads.slice(1).map((text) => text.trim())), ["size_of_downpayment = 10%", "size_of_downpayment = 40%"]);
    const cells = await page.locator("section[aria-label=Metrics] tbody tr", { has: page.locator("th", { hasText: /^accuracy/ }) }).locator("td > b").allTextContents();
    cells.forEach((text, i) => shows(text, wanted[i].series[0].points[0].value));
    await page.getByRole("group", { name: "Version" }).getByText("v1").click();
    await page.waitForFunction(() => location.hash.includes("version=v1"));
    assert.deepEqual(await axe(), []);
    check();
}

export async function every_drawing_has_a_sentence_and_a_table({ page, open, axe }) {
    const check = strict(page);
    await open_signed_in(page, open, "/", ".models tbody tr");
    for (const [path, wanted, drawings] of [
        [`/#/models/car_loan?${whole(loans)}`, ".chart canvas", 10], [`/#/models/car_loan/drift?${whole(loans)}&feature=car_value`, ".detail-grid", 2],
        [`/#/models/car_loan/compare?${span(last(loans))}`, ".matrix", 3], [`/#/releases/${release.name}`, ".metrics-now", 5]]) {
        await open(path);
        await page.locator(wanted).first().waitFor();
        const tables = page.locator("main").getByRole("button", { name: /^Table/ });
        await tables.nth(drawings - 1).waitFor();
        assert.equal(await tables.count(), drawings, path);
        for (let i = 0; i < drawings; i++) await tables.nth(i).click();
        const filled = await page.locator(".chart-table:visible").evaluateAll((places) => places.map((place) => place.querySelectorAll("tbody tr").length));
        assert.ok(filled.length === drawings && filled.every((n) => n > 0), `${path}: ${filled}`);
        const unnamed = await page.locator("main [role=img]:not([aria-label])").count();
        assert.equal(unnamed, 0, path);
        assert.deepEqual(await axe(), []);
        for (let i = 0; i < drawings; i++) await tables.nth(i).click();
        assert.equal(await page.locator(".chart-table:visible").count(), 0);
    }
    check();
}

export async function the_worse_version_was_rolled_back_on_its_accuracy({ page, open, axe }) {
    const check = strict(page), { verdict } = await daemon.get(`/experiments/${release.name}`);
    await open_signed_in(page, open, "/#/releases", ".releases tbody tr");
    await page.locator(".releases a", { hasText: release.name }).first().click();
    await page.locator(".metrics-now").waitFor();

    assert.match(await page.locator(".verdict-banner").textContent(), /rolled back: guardrail accuracy: harm/);
    const numbers = await page.locator(".metrics-now tr", { has: page.locator("code", { hasText: /^accuracy$/ }) }).locator("td.number").allTextContents();
    const accuracy = verdict.metrics.find((metric) => metric.metric === "accuracy");
    shows(numbers[0], accuracy.control.value);
    shows(numbers[1], accuracy.treatment.value);
    const { tp, tn, fp, fn } = loans.total, known = (tp + tn) / (tp + tn + fp + fn);
    assert.ok(Math.abs(accuracy.control.value - known) < 0.04, `${accuracy.control.value}: scikit-learn says ${known} of the whole stream`);
    assert.ok(Math.abs(accuracy.treatment.value - (0.75 * known + 0.25 * (1 - known))) < 0.08, `${accuracy.treatment.value}: a quarter is turned round`);
    await shot(page, "every-release", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}

export async function the_system_page_counts_every_line({ page, open, axe }) {
    const check = strict(page);
    await open_signed_in(page, open, "/#/system", ".facts");
    const column = async (name) => {
        const heads = await page.locator(".plain thead th").allTextContents();
        return page.locator(".plain tbody tr").evaluateAll((lines, at) => Object.fromEntries(lines.map((line) => [line.cells[0].textContent, line.cells[at].textContent])), heads.indexOf(name));
    };
    const duplicates = await column("duplicate"), of = (set) => Object.entries(duplicates).find(([name]) => name.includes(set))[1];
    assert.equal(Number(of("car_loan")), loans.stream.duplicates);
    assert.equal(Number(of("prices")), prices.stream.duplicates);
    assert.equal(await page.getByText("No event was refused.").count(), 1);
    assert.deepEqual(await axe(), []);
    check();
}
