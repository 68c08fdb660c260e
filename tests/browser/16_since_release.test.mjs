// Versions over each other on the time since each was released, against a live daemon: the lines begin together,
// the values are those that the API gives by the clock, and the URL holds it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOUR, fits, shot, start, strict } from "./daemon.mjs";
import { World } from "./world.mjs";

let daemon = null;

export async function setup(context) {
    const world = new World();
    daemon = await start(context, { models: ["credit", "churn"].map((name) => ({ name, task: "binary", positive: 1, label_horizon: "2h" })), auto_models: { task: "binary", max: 10 } });
    await daemon.post(world.history());
    return daemon.address;
}

async function open_chart(page, open, params) {
    await open(`/#/models/credit?axis=release&${params}`);
    const chart = page.locator(".chart", { has: page.locator(".canvas canvas") }).first();
    await chart.waitFor();
    return chart;
}

async function table_of(chart) {
    await chart.getByRole("button", { name: "Table" }).click();
    const cells = async (row) => [await row.locator("th").textContent(), ...await row.locator("td").allTextContents()];
    return Promise.all((await chart.locator("tbody tr").all()).map(cells));
}

const first_seen = async (version) => (await daemon.get("/models/credit/versions")).items.find((v) => v.version === version).first_seen;

export async function both_versions_begin_at_their_release({ page, open, axe }) {
    const check = strict(page);

    const chart = await open_chart(page, open, "range=6h&window=15m&metrics=count");
    await shot(page, "since-release", { fullPage: true });
    const summary = await chart.locator(".canvas").getAttribute("aria-label");
    const rows = await table_of(chart), oldest = rows.at(-1);

    assert.match(summary, /^count since its release\. v3: \d+ \+6 h after its release, .*\. v4: \d+ \+6 h after its release/);
    assert.equal(rows[0][0], "+6 h");
    assert.ok(Number(oldest[1]) > 0 && Number(oldest[4]) > 0, `both have served in their first window: ${oldest}`);
    assert.deepEqual(await axe(), []);
    check();
}

export async function values_are_those_that_the_clock_gives({ page, open }) {
    const check = strict(page), origin = Math.floor(await first_seen("v4") / HOUR) * HOUR;
    const chart = await open_chart(page, open, "range=3d&window=1h&metrics=count");

    const rows = await table_of(chart);

    const answer = await daemon.get(`/models/credit/metrics?metric=count&version=v4&from=${origin}&to=${origin + 3 * HOUR}&window=1h`);
    const third = rows.find(([time]) => time === "+3 h");
    assert.equal(Number(third[4].replace(/,/g, "")), answer.series[0].points[2].value);
    check();
}

export async function a_press_changes_the_axis_and_the_address({ page, open }) {
    const check = strict(page);
    await open("/#/models/credit?range=24h&metrics=count");
    await page.locator(".happened").waitFor();

    await page.locator("#axis-release").click();
    await page.locator(".notes", { hasText: "Each version's first 1d, counted from" }).waitFor();

    assert.match(page.url(), /axis=release/);
    assert.equal(await page.locator("#axis-release").getAttribute("aria-pressed"), "true");
    await page.locator(".happened").waitFor({ state: "hidden" });
    await page.locator("#axis-clock").click();
    await page.locator(".happened").waitFor();
    assert.doesNotMatch(page.url(), /axis=/);
    check();
}

export async function files_hold_both_times({ page, open }) {
    const check = strict(page);
    const chart = await open_chart(page, open, "range=3d&window=1h&metrics=count");

    const [csv] = await Promise.all([page.waitForEvent("download"), chart.locator("a", { hasText: "CSV" }).click()]);

    const [head, ...lines] = String(readFileSync(await csv.path())).trim().split("\r\n").map((line) => line.split(","));
    assert.deepEqual(head.slice(0, 5), ["version", "start", "end", "from", "until"]);
    const v4 = lines.find(([version, start]) => version === "v4" && start === "0");
    assert.equal(Number(v4[3]), Math.floor(await first_seen("v4") / HOUR) * HOUR);
    check();
}

export async function one_version_alone_has_nothing_to_lie_over({ page, open }) {
    const check = strict(page);

    await open("/#/models/churn");
    await page.locator(".charts canvas").first().waitFor();

    assert.equal(await page.locator("#axis-release").count(), 0);
    check();
}

export async function keys_the_dark_and_a_phone_do_it_too({ page, open, axe }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 844 });
    const chart = await open_chart(page, open, "range=3d&window=1h&metrics=roc_auc");

    await chart.locator(".canvas").focus();
    await page.keyboard.press("ArrowRight");

    assert.match(await chart.locator(".when").first().textContent(), /^0 to \+1 h after its release/);
    await fits(page);
    assert.deepEqual(await axe(), []);
    await shot(page, "since-release-phone", { fullPage: true });
    check();
}
