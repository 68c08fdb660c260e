// What happened to a model, on the axis of its charts: versions, releases, alerts, what people
// changed; the levels of rules that never fired; and the figures of the overview as files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOSTILE, HOUR, MINUTE, fits, random, shot, start, strict } from "./daemon.mjs";

let daemon;

export async function setup(context) {
    daemon = await start(context, {
        models: [
            { name: "credit", task: "binary", positive: 1, segments: ["country"] },
            { name: "orders", task: "binary", positive: 1, changes: { expected_run_time: 20000, metrics: ["error_rate"] } },
        ],
        alerts: [
            { name: "never-fired", model: "credit", metric: "accuracy", window: "1h", below: 0.45, every: "1m" },
            { name: "slow", model: "credit", metric: "latency_p99", window: "10m", above: 60, every: "1m", severity: "warning" },
        ],
    });
    // the last event is a little ahead of the clock, so that what is done now lies within the charts
    const next = random(5), begin = Math.floor(Date.now() / MINUTE) * MINUTE - 8 * HOUR + 4 * MINUTE, events = [];
    for (let i = 0; i < 8 * 60; i++) {
        const ts = begin + i * MINUTE, hour = i / 60, version = hour > 3 && i % 2 ? "v4" : "v3", score = next();
        events.push({ type: "prediction", id: `e${i}`, ts, model: "credit", version, score, latency_ms: (hour > 5 && hour < 6 ? 80 : 20) + 10 * next() });
        events.push({ type: "label", id: `e${i}`, ts: ts + 1000, label: next() < score ? 1 : 0 });
        const values = { gpu_utilization: version === "v4" ? 0.75 : 0.5, cpu_utilization: 0.25, memory_bytes: 3 * 2 ** 30 };
        events.push({ type: "system", ts, model: "credit", version, host: "a1", values });
    }
    for (let i = 0; i < 6000; i++) {
        const failed = next() < (i < 4500 ? 0.02 : 0.3) ? "upstream timeout" : null;
        events.push({ type: "prediction", id: `o${i}`, ts: begin + i * 4000, model: "orders", version: "v1", error: failed, score: failed ? null : next() });
    }
    await daemon.post(events);
    await daemon.put("/models/credit/reference", events.filter((e) => e.type === "prediction").slice(0, 200).map((e) => ({ ...e, id: `r${e.id}` })));
    await daemon.command("/silences", { matchers: ["model=\"credit\""], duration: "1h", comment: HOSTILE });
    daemon.child.kill("SIGHUP");
    for (let i = 0; i < 500; i++) {
        const [audit, history] = [await daemon.get("/audit"), await daemon.get("/alerts/history")];
        const over = history.items.some((e) => e.event === "resolved" && e.data.name === "slow");
        if (over && audit.items.some((row) => row.action === "config.reload")) return daemon.address;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("no alert that is over, or no reload in the audit log");
}

async function open_model(page, open) {
    await open("/#/models/credit");
    await page.locator(".happened .over-time").waitFor();
    await page.locator(".chart .canvas canvas").first().waitFor();
}

export async function a_shift_that_was_found_by_the_event_has_its_mark({ page, open }) {
    const check = strict(page);

    await open("/#/models/orders");
    await page.locator(".happened .event.shift").first().waitFor();

    assert.match(await page.locator(".happened svg").getAttribute("aria-label"), /v1: error_rate went up, found/);
    assert.deepEqual(await page.locator(".happened svg > text").allTextContents().then((texts) => texts.filter((t) => /^[a-z]+$/.test(t)))
        .then((lanes) => lanes.includes("shifts")), true);
    await shot(page, "shifts");
    check();
}

export async function versions_alerts_and_changes_stand_in_lanes_on_one_axis({ page, open, axe }) {
    const check = strict(page);

    await open_model(page, open);

    const words = await page.locator(".happened svg").getAttribute("aria-label");
    for (const wanted of [/v4 first served/, /to .* slow/, /reference replaced/, /configuration read again by SIGHUP/, /silenced: <img src=x/])
        assert.match(words, wanted);
    assert.deepEqual(await page.locator(".happened svg > text").allTextContents().then((texts) => texts.filter((t) => /^[a-z]+$/.test(t))), ["versions", "alerts", "changes"]);
    assert.equal(await page.locator("main img").count(), 0);
    await page.locator(".happened").getByRole("button", { name: "Table" }).click();
    assert.match(await page.locator(".happened tbody").textContent(), /alerts.*slow/);
    assert.deepEqual(await axe(), []);
    await page.locator(".happened").getByRole("button", { name: "Table" }).click();
    await shot(page, "happened");
    check();
}

export async function the_cross_hair_of_the_charts_runs_through_the_lanes({ page, open }) {
    const check = strict(page);
    await open_model(page, open);
    assert.equal(await page.locator(".happened .cross").getAttribute("visibility"), "hidden");

    await page.locator(".chart .canvas").first().focus();
    await page.keyboard.press("ArrowLeft");

    await page.locator(".happened .cross[visibility=visible]").waitFor({ state: "attached" });
    check();
}

export async function a_rule_that_never_fired_is_a_line_on_its_chart({ page, open }) {
    const check = strict(page);

    await open_model(page, open);

    const accuracy = page.locator(".chart[aria-label='accuracy'] .canvas");
    assert.match(await accuracy.getAttribute("aria-label"), /Levels of rules: never-fired 0\.45/);
    assert.doesNotMatch(await page.locator(".chart[aria-label='f1'] .canvas").getAttribute("aria-label"), /Levels/);
    check();
}

export async function what_versions_take_of_the_machine_is_laid_over_each_other({ page, open, axe }) {
    const check = strict(page);
    await open("/#/models/credit?metrics=gpu_utilization,cpu_utilization,memory_bytes");
    await page.locator(".chart .canvas canvas").nth(2).waitFor();

    const told = (metric) => page.locator(`.chart[aria-label="${metric}"] .reading b`).allTextContents();
    assert.deepEqual(await told("gpu_utilization"), ["50 %", "75 %"]);
    assert.deepEqual(await told("cpu_utilization"), ["25 %", "25 %"]);
    assert.deepEqual(await told("memory_bytes"), ["3 GiB", "3 GiB"]);
    await shot(page, "machine");
    assert.deepEqual(await axe(), []);
    check();
}

export async function lanes_and_overview_are_saved_as_files({ page, open }) {
    const check = strict(page);
    const saved = async (name) => {
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
        return readFileSync(await download.path());
    };

    await open_model(page, open);
    assert.match(String(await saved("CSV of what happened")), /^from,to,kind,what,by\r\n[\s\S]*,versions,v4 first served,/);
    assert.ok(JSON.parse(await saved("JSON of what happened")).some((e) => e.kind === "alert" && e.text.startsWith("slow")));
    assert.equal((await saved("PNG of what happened")).subarray(1, 4).toString(), "PNG");

    await open("/");
    await page.locator(".models .spark path").first().waitFor();
    assert.match(String(await saved("CSV of overview")), /^model,metric,from,to,n,value\r\ncredit,roc_auc,/);
    assert.deepEqual([...new Set(JSON.parse(await saved("JSON of overview")).map((s) => s.metric))], ["roc_auc", "count", "error_rate", "latency_p99"]);
    assert.equal((await saved("PNG of overview")).subarray(1, 4).toString(), "PNG");
    check();
}

// How many pixels of a chart have the ink of a version.
const inked = (page, ink) => page.locator(".chart canvas").evaluate((canvas, [r, g, b]) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b) n++;
    return n;
}, ink);

export async function a_window_alone_is_drawn_with_its_interval({ page, open }) {
    const check = strict(page);
    let alone = false;
    await page.route("**/metrics?*", async (route) => {
        const response = await route.fetch(), answer = await response.json();
        const void_of = (p) => ({ ...p, value: null, lower: null, upper: null });
        for (const s of answer.series) s.points = s.points.map((p, i) => (alone && i === 40 ? { ...p, n: 50, labelled: 50, value: 0.5, lower: 0.3, upper: 0.7 } : void_of(p)));
        answer.series.length = 1;
        await route.fulfill({ response, json: answer });
    });
    await open("/#/models/credit?metrics=accuracy");
    await page.locator(".chart .chart-note", { hasText: /No value/ }).waitFor();
    alone = true;
    await open("/#/models/credit?metrics=accuracy&range=6h");
    await open("/#/models/credit?metrics=accuracy");
    await page.locator(".chart canvas").waitFor();
    await page.locator(".chart .reading b", { hasText: "0.50" }).waitFor();

    assert.ok(await inked(page, [0, 114, 178]) >= 10, "the point and its bar");
    assert.deepEqual(await page.evaluate(() => import("/chart_marks.js").then(({ lone }) => lone([1, null, 2, 3, null, undefined, 4]))), [0, 6]);
    check();
}

export async function a_chart_says_what_its_axes_measure_and_in_which_zone({ page, open }) {
    const check = strict(page);
    await page.addInitScript(() => {
        window.written = new Set();
        const write = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...where) { window.written.add(text); return write.call(this, text, ...where); };
    });
    await open("/#/models/credit?metrics=accuracy,error_rate,count,latency_p50&window=1h");
    await page.locator(".chart canvas").nth(3).waitFor();

    const zone = await page.evaluate(() => import("/format.js").then((format) => format.zone_title));
    await page.waitForFunction((n) => window.written.size > n, 10);
    const written = await page.evaluate(() => [...window.written]);
    for (const title of ["accuracy", "error_rate, %", "predictions per 1h", "latency_p50, ms", `end of the window, ${zone}`])
        assert.ok(written.includes(title), `${title} among ${written.join(" | ")}`);
    check();
}

export async function a_phone_shows_the_lanes({ page, open }) {
    const check = strict(page);
    await page.setViewportSize({ width: 390, height: 844 });
    await open_model(page, open);
    await fits(page);
    check();
}
