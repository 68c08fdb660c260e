// The Release pages against a live daemon that decides from what it is sent: one release goes up and
// waits for a person, one is rolled back, one was never started; people's commands by the page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOSTILE, HOUR, fits, shot, start, strict } from "./daemon.mjs";
import { Traffic, bucket } from "./traffic.mjs";

// The tests run by name; those that change the release come late in the alphabet.
let daemon, good, bad, traffic;

const steps = [{ weight: 20, min_duration: "20s", min_units: 50 }, { weight: 50, min_duration: "20s", min_units: 50, approval: true }, { weight: 100, min_duration: "1m" }];
const metrics = [{ metric: "error_rate", role: "guardrail", margin_relative: 2 }, { metric: "roc_auc", role: "primary", margin: 0.2 }, { metric: "positive_rate", role: "monitor" }];
const release = (name, more) => ({ name, model: name.split("-")[0], control: "v3", treatment: "v4", salt: name, alpha: 0.05, steps, metrics, ...more });

export async function setup(context) {
    daemon = await start(context, { models: ["credit", "churn", "calm"].map((name) => ({ name, task: "binary", positive: 1, label_horizon: "1d" })) });
    good = release("credit-v4");
    bad = release("churn-v4", { metrics: [metrics[0], { metric: "roc_auc", role: "monitor" }], steps: [{ weight: 50, min_duration: "10m" }] });
    const well = { error_rate: 0.05, latency_ms: 30, skill: 1 };
    traffic = new Traffic(good, Date.now() - HOUR, { v3: well, v4: well }, { per_second: 40 });
    await daemon.command("/experiments", good);
    await daemon.command("/experiments/credit-v4/start", { reason: `a new model ${HOSTILE}` });
    await traffic.drive(daemon, (e) => e.verdict?.reason?.includes("approv"), { seconds: 10, most: 60 });
    await daemon.command("/experiments", bad);
    await daemon.command("/experiments/churn-v4/start", { reason: "another one" });
    const harmed = new Traffic(bad, traffic.now, { v3: well, v4: { ...well, error_rate: 0.6 } }, { per_second: 40, seed: 3, labels: false });
    await harmed.drive(daemon, (e) => e.state === "rolled_back", { seconds: 5, most: 40 });
    await daemon.command("/experiments", release("calm-v4"));
    return daemon.address;
}

async function open_release(page, open, name) {
    await open(`/#/releases/${name}`);
    await page.locator(".verdict-banner, .message").first().waitFor();
}

async function order(page, word, reason) {
    await page.locator(`#do-${word}`).click();
    await page.locator("#order-reason").fill(reason);
    await page.locator("main dialog button[type=submit]").click();
    await page.locator("main dialog").waitFor({ state: "hidden" });
}

export async function a_bucket_here_is_the_bucket_there() {
    for (const unit of ["u0", "u17", "a unit whose name is longer than thirty-two bytes"]) {
        const answer = await daemon.get(`/experiments/credit-v4/assignment?unit=${encodeURIComponent(unit)}`);
        assert.equal(answer.arm, bucket("credit-v4", unit) < 0.2 ? "treatment" : "control", unit);
    }
}

export async function each_release_has_a_line_with_its_state_and_share({ page, open, axe }) {
    const check = strict(page);

    await open("/#/releases");
    await page.locator("tbody tr").nth(2).waitFor();

    const lines = await page.locator("tbody tr").allTextContents();
    assert.match(lines[0], /^credit-v4credit · v3 → v4running(held)?20 %/);
    assert.match(lines.find((l) => l.startsWith("churn-v4")), /rolled back0 %guardrail error_rate: harm beyond harm_margin/);
    assert.match(lines.find((l) => l.startsWith("calm-v4")), /draft0 %/);
    await page.locator("a", { hasText: "churn-v4" }).click();
    await page.locator("h1", { hasText: "churn-v4" }).waitFor();
    await open("/#/releases");
    await page.locator("tbody tr").nth(2).waitFor();
    assert.deepEqual(await axe(), []);
    check();
}

export async function the_overview_says_what_is_released_and_what_was_taken_back({ page, open, axe }) {
    const check = strict(page);

    await open("/#/");
    await page.locator("tbody tr a", { hasText: /v4 (gets|held at) [25]0 %/ }).waitFor();

    const line = (name) => page.locator("tbody tr", { has: page.locator("th", { hasText: name }) });
    assert.equal(await line("credit").locator("a", { hasText: /v4 (gets|held at) [25]0 %/ }).getAttribute("href"), "#/releases/credit-v4");
    assert.match(await line("churn").locator("a", { hasText: "v4 rolled back" }).getAttribute("title"), /harm beyond harm_margin/);
    assert.equal(await line("calm").locator(".alert-link").count(), 0, "a draft is no news");
    assert.deepEqual(await axe(), []);
    check();
}

export async function the_intervals_narrow_against_their_margins({ page, open, axe }) {
    const check = strict(page);

    await open_release(page, open, "credit-v4");
    await page.locator(".over-time").nth(4).waitFor();

    const cards = await page.locator(".charts > .chart").evaluateAll((all) => all.map((card) => card.getAttribute("aria-label")));
    assert.deepEqual(cards, ["error_rate", "roc_auc", "positive_rate", "Sample ratio", "Share of the units"]);
    assert.match(await page.locator(".chart[aria-label='Share of the units'] .reading").textContent(), /^\d+(\.\d+)? %of 20 % that the weight asks for/);
    const auc = page.locator(".chart[aria-label=roc_auc]");
    assert.match(await auc.locator(".reading").textContent(), /^[+−]0\.\d+[+−]0\.\d+ to [+−]0\.\d+margin −0\.2within the margin$/);
    assert.equal(await auc.locator("path.margin").count(), 1);
    assert.match(await page.locator("section[aria-label=Ramp] svg").getAttribute("aria-label"), /planned 20 → 50 → 100 %, now \d+ %\. .*started 20 %/);
    await shot(page, "release", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}

export async function numbers_are_those_of_the_api({ page, open }) {
    const check = strict(page);
    const { verdict } = await daemon.get("/experiments/credit-v4");
    await open_release(page, open, "credit-v4");
    const line = page.locator(".metrics-now tr", { has: page.locator("code", { hasText: /^error_rate$/ }) });

    const cells = await line.locator("td").allTextContents();

    const m = verdict.metrics.find((one) => one.metric === "error_rate");
    assert.equal(cells[0].split("n ")[0], `${Number((m.control.value * 100).toFixed(2))} %`);
    assert.match(cells[5], /^within the margin/);
    const split = await page.locator("section[aria-label=Split]").textContent();
    assert.ok(split.includes(`${verdict.units.treatment}`), `${split} has ${verdict.units.treatment}`);
    assert.match(split, /of 20 %/);
    assert.match(await page.locator("section[aria-label='Bayesian summary']").textContent(), /beside, never deciding/);
    check();
}

export async function before_the_next_step_what_is_missing_is_listed({ page, open }) {
    const check = strict(page);
    await open_release(page, open, "credit-v4");

    const needs = await page.locator(".needs").textContent();

    assert.match(needs, /^To 50 %/);
    assert.match(needs, /open: somebody approves the next step/);
    assert.match(needs, /done: \d[\d.,k]* of 50 units/);
    check();
}

export async function a_rollback_shows_when_why_and_its_audit_row({ page, open, axe }) {
    const check = strict(page);

    await open_release(page, open, "churn-v4");

    assert.match(await page.locator(".verdict-banner").textContent(), /^rolled back: guardrail error_rate: harm beyond harm_margin, after \d+ treatment units and \d+ (s|min)/);
    assert.equal(await page.locator(".release-actions button").count(), 0, "what is over is not operated");
    const first = page.locator(".transitions li").first();
    assert.match(await first.textContent(), /rolled back, 50 % → 0 % by the engine/);
    await first.locator("summary").click();
    const audit = (await daemon.get("/audit?limit=1000")).items.find((row) => row.action === "experiment.rollback");
    assert.ok((await first.locator(".audit").textContent()).includes(`Audit row ${audit.seq}, hash ${audit.hash}`));
    assert.match(await first.locator("table").textContent(), /error_rate.*harmed/);
    await shot(page, "release-rolled-back", { fullPage: true });
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_rollback_too_soon_for_a_sequence_still_shows_its_interval({ page, open }) {
    const check = strict(page);
    const { verdict } = await daemon.get("/experiments/churn-v4"), [errors] = verdict.metrics;

    await open_release(page, open, "churn-v4");

    const chart = (metric) => page.locator(`.chart[aria-label=${metric}]`);
    await chart("error_rate").locator("path.band, path.interval").first().waitFor({ state: "attached" });
    assert.ok(errors.lower < errors.difference && errors.difference < errors.upper, JSON.stringify(errors));
    assert.match(await chart("error_rate").locator("svg").getAttribute("aria-label"), /Last \+[\d.]+ pp, [+−][\d.]+ pp to \+[\d.]+ pp; harmed/);
    assert.equal(await chart("error_rate").locator(".chart-remark").count(), 0);
    assert.equal(await chart("roc_auc").locator("svg").count(), 0, "no axes around nothing");
    assert.equal(await chart("roc_auc").locator(".chart-note").textContent(), "Nothing to draw yet: not enough observations in both arms yet.");
    check();
}

export async function an_interval_of_one_look_alone_is_a_bar({ page, open }) {
    const check = strict(page);
    await page.route("**/looks*", async (route) => {
        const response = await route.fetch(), answer = await response.json();
        for (const look of answer.items.slice(0, -1)) for (const m of look.metrics) m.lower = m.upper = null;
        await route.fulfill({ response, json: answer });
    });

    await open_release(page, open, "churn-v4");

    const chart = page.locator(".chart[aria-label=error_rate]");
    await chart.locator("path.interval").first().waitFor({ state: "attached" });
    assert.equal(await chart.locator("path.band").count(), 0);
    assert.match(await chart.locator("path.interval").first().getAttribute("d"), /^M[\d.]+ [\d.]+V[\d.]+$/);
    check();
}

export async function holds_one_after_the_other_are_one_row_that_opens({ page, open, axe }) {
    const check = strict(page), DAY_OF = 1_700_000_000_000;
    await page.route("**/experiments/credit-v4/history", async (route) => {
        const response = await route.fetch(), answer = await response.json(), [first] = answer.items;
        const hold = (i, reason) => ({ ...first, seq: 1000 + i, at: DAY_OF + i * 60_000, who: "engine", clock: "event", verdict: "hold", from: first.to, to: first.to, reason });
        const holds = Array.from({ length: 9 }, (_, i) => hold(i, i % 3 ? `sample ratio mismatch: ${i} units (p 0.000${i + 1})` : "no telemetry from treatment v4 for 2m"));
        await route.fulfill({ response, json: { ...answer, items: [{ ...first, at: DAY_OF - 60_000 }, ...holds] } });
    });

    await open_release(page, open, "credit-v4");

    const rows = page.locator(".transitions > li");
    await rows.first().waitFor();
    assert.equal(await rows.count(), 2);
    assert.match(await rows.first().textContent(), /held 9 times by the engine, .* – .*: sample ratio mismatch \(6\u00a0×\), no telemetry from treatment v4 for 2m \(3\u00a0×\)newest: sample ratio mismatch: 8 units/);
    await rows.first().locator("summary", { hasText: "Each of them" }).click();
    await page.locator(".within > li").nth(8).waitFor({ state: "visible" });
    assert.match(await page.locator(".within > li").last().textContent(), /held by the engine: no telemetry/);
    assert.equal(await page.locator("section[aria-label=Ramp] g.mark.hold").count(), 1, "one mark where it began to be held");
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_reason_is_required_and_stays_text({ page, open }) {
    const check = strict(page);
    await open_release(page, open, "credit-v4");
    assert.match(await page.locator(".transitions li").last().textContent(), /started at 20 % by operator: a new model <img src=x onerror=alert\(1\)>/);
    assert.equal(await page.locator("main img").count(), 0);

    await page.locator("#do-pause").click();
    await page.locator("main dialog button[type=submit]").click();

    assert.match(await page.locator("main dialog [role=alert]").textContent(), /Say why/);
    await page.keyboard.press("Escape");
    assert.equal((await daemon.get("/experiments/credit-v4")).state, "running");
    check();
}

export async function pause_freeze_resume_and_approve_are_done_from_the_page({ page, open }) {
    const check = strict(page);
    await open_release(page, open, "credit-v4");

    await order(page, "pause", "looking at the labels");
    await page.locator(".page-head .badge", { hasText: "paused" }).waitFor();
    await order(page, "freeze", "hands off");
    await page.locator(".page-head .badge", { hasText: "frozen" }).waitFor();
    assert.equal(await page.locator("#do-freeze").count(), 0);
    await order(page, "resume", "all is well");
    await page.locator(".page-head .badge", { hasText: "running" }).waitFor();
    await order(page, "approve", "go on");
    await page.waitForFunction(() => document.querySelectorAll(".transitions li").length >= 5);
    await page.locator(".transitions li", { hasText: "approved a step by operator: go on" }).waitFor();
    const rows = (await daemon.get("/audit?limit=1000")).items.filter((row) => row.subject === "credit-v4" && row.who === "operator").map((row) => row.action); // the engine may hold in between
    assert.deepEqual(rows.slice(-4), ["experiment.pause", "experiment.freeze", "experiment.resume", "experiment.approve"]);
    check();
}

export async function without_reloading_the_next_step_appears_and_a_person_ends_it({ page, open }) {
    const check = strict(page);
    await open_release(page, open, "credit-v4");
    await page.locator("#live[data-state=on]").waitFor();

    await traffic.drive(daemon, (e) => e.step === 1, { seconds: 5, most: 60 });
    await page.locator(".lead", { hasText: "50 % treatment" }).waitFor();
    assert.match(await page.locator(".transitions li", { hasText: "went on to 50 %" }).textContent(), /by the engine/);

    await page.locator("#do-jump").click();
    await page.locator("#order-step").selectOption("0");
    await page.locator("#order-reason").fill("back to a few");
    await page.locator("main dialog button[type=submit]").click();
    await page.locator(".lead", { hasText: "20 % treatment" }).waitFor();
    await order(page, "rollback", "enough");
    await page.locator(".page-head .badge", { hasText: "rolled back" }).waitFor();
    assert.equal((await daemon.get("/experiments/credit-v4")).weight, 0);
    check();
}

export async function the_model_shows_the_steps_on_its_own_time_axis({ page, open }) {
    const check = strict(page);
    await open("/#/models/churn?range=6h&metrics=error_rate");
    await page.locator(".chart canvas").first().waitFor();

    assert.match(await page.locator(".chart .canvas").getAttribute("aria-label"), /Marks: .*release: v4 50 % at .*; release: v4 rolled back at /);
    await page.locator(".notes a", { hasText: "churn-v4" }).click();
    await page.locator(".verdict-banner").waitFor();
    check();
}

export async function when_a_draft_is_started_and_promoted_it_is_over({ page, open }) {
    const check = strict(page);
    await open_release(page, open, "calm-v4");
    assert.match(await page.locator(".message").first().textContent(), /Not started/);

    await order(page, "start", "off we go");
    await page.locator(".page-head .badge", { hasText: "running" }).waitFor();
    await order(page, "promote", "it is only text");
    await page.locator(".page-head .badge", { hasText: "promoted" }).waitFor();
    check();
}

export async function keys_move_one_cross_hair_and_files_hold_the_looks({ page, open }) {
    const check = strict(page);
    await open_release(page, open, "churn-v4");
    await page.locator(".over-time").first().focus();
    await page.keyboard.press("Home");
    const times = await page.locator(".chart .when").allTextContents();
    assert.equal(new Set(times).size, 1, times.join(" | "));
    assert.equal(await page.locator(".cross[visibility=visible]").count(), await page.locator(".over-time").count());

    const [csv] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV of ramp of churn-v4" }).click()]);
    const lines = String(readFileSync(await csv.path())).trim().split("\r\n");
    assert.match(lines[0], /^at,step,weight,verdict,units_control/);
    assert.match(lines.at(-2), /,rollback,.*error_rate,.*,harmed$/);
    const [png] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "PNG of error_rate of churn-v4" }).click()]);
    assert.equal(readFileSync(await png.path()).subarray(1, 4).toString(), "PNG");
    check();
}

export async function words_in_charts_have_their_size_however_many_stand_side_by_side({ page, open }) {
    const check = strict(page);
    for (const width of [900, 1280, 1440, 1920]) {
        await page.setViewportSize({ width, height: 900 });
        await open_release(page, open, "churn-v4");
        await page.locator(".charts .over-time").first().waitFor();
        await page.waitForFunction(() => [...document.querySelectorAll(".over-time")].every((box) => {
            const scale = box.getBoundingClientRect().width / box.viewBox.baseVal.width;
            return scale > 0.95 && scale < 1.1;
        }));
        await page.goto("about:blank");
    }
    check();
}

export async function the_dark_and_a_phone_show_it_all({ page, open, axe }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await open_release(page, open, "churn-v4");
    await page.locator(".over-time").first().waitFor();
    assert.deepEqual(await axe(), []);
    await page.setViewportSize({ width: 390, height: 844 });
    for (const path of ["/#/releases", "/#/releases/credit-v4", "/#/releases/churn-v4"]) {
        await open(path);
        await page.locator("tbody tr, .over-time").first().waitFor();
        await fits(page);
        assert.deepEqual(await axe(), []);
    }
    await shot(page, "release-phone", { fullPage: true });
    check();
}
