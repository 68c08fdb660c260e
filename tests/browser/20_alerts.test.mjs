// The Alerts page, and alerts on Overview and Model, against page_server's rows (page_alerts.c).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const HOSTILE = "<img src=x onerror=alert(1)>";
let server = null;

export async function setup({ root, at_end, skip }) {
    const program = join(root, process.env.ASSAY_BUILD ?? "build", "tests", "page_server");
    if (!existsSync(program)) skip(`no ${program}: run ./dev build`);
    server = spawn(program, ["--hours", "26"], { stdio: ["pipe", "pipe", "inherit"] });
    at_end(() => server.stdin.end());
    return new Promise((resolve, reject) => {
        server.stdout.once("data", (text) => resolve(String(text).trim()));
        server.once("exit", (code) => reject(new Error(`page_server ended with ${code}`)));
    });
}

function strict(page, allowed = /^$/) {
    const trouble = [];
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && !allowed.test(m.text()) && trouble.push(m.text()));
    page.on("dialog", (dialog) => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    return () => assert.deepEqual(trouble, []);
}

async function shot(page, name) {
    if (!process.env.ASSAY_SCREENSHOTS) return;
    mkdirSync(process.env.ASSAY_SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(process.env.ASSAY_SCREENSHOTS, `${name}.png`) });
}

async function open_alerts(page, open) {
    await open("/#/alerts");
    await page.locator(".alert").first().waitFor();
}

export async function a_firing_alert_stands_first_with_value_and_severity_in_words({ page, open, axe }) {
    const check = strict(page);

    await open_alerts(page, open);

    assert.deepEqual(await page.locator(".alert h2").allTextContents(), ["auc-low", HOSTILE, "errors-high"]);
    const first = await page.locator(".alert").first().textContent();
    assert.match(first, /^critical/);
    assert.match(first, /roc_auc 0\.874 0\.853 to 0\.894 · level 0\.9/);
    assert.match(first, /firing since .* \(5 h.* ago\) · nobody has acknowledged it/);
    assert.equal(await page.locator("#nav .count").textContent(), "2 firing");
    assert.match(await page.locator(".timeline li", { hasText: "latency-high resolved" }).textContent(), /credit/);
    await shot(page, "alerts");
    assert.deepEqual(await axe(), []);
    assert.equal(await page.locator("main img").count(), 0);
    check();
}

export async function an_alert_leads_to_its_chart_with_the_span_and_level({ page, open }) {
    const check = strict(page);
    await open_alerts(page, open);

    await page.locator(".alert", { hasText: "auc-low" }).locator("a", { hasText: "See the chart" }).click();
    await page.locator(".charts canvas").first().waitFor();

    assert.match(page.url(), /metrics=roc_auc&version=v4&window=1h/);
    assert.equal(await page.locator(".charts .chart").count(), 1);
    assert.equal(await page.locator(".reading").count(), 1);
    assert.match(await page.locator(".charts .canvas").getAttribute("aria-label"), /Alerts: auc-low fired from .* and still fires\./);
    await shot(page, "alert-chart");
    check();
}

export async function acknowledging_says_by_whom({ page, open }) {
    const check = strict(page);
    await open_alerts(page, open);
    const card = page.locator(".alert", { hasText: "auc-low" });

    await card.locator("button", { hasText: "Acknowledge" }).click();
    await card.locator("text=acknowledged by").waitFor();

    assert.match(await card.textContent(), /acknowledged by operator/);
    assert.equal(await card.locator("button", { hasText: "Acknowledge" }).count(), 0);
    check();
}

export async function a_silence_is_made_from_an_alert_and_ended({ page, open, axe }) {
    const check = strict(page, /400|422/);
    await open_alerts(page, open);
    await page.locator(".alert", { hasText: "auc-low" }).locator("button", { hasText: "Silence" }).click();
    assert.equal(await page.locator("#silence-matchers").inputValue(), "alertname=\"auc-low\"\nmodel=\"credit\"\nversion=\"v4\"");
    assert.deepEqual(await axe(), []);

    await page.locator("#silence-comment").fill("new data on the way");
    await page.locator("#silence-matchers").fill("nonsense");
    await page.locator("dialog .primary").click();
    await page.locator("dialog [role=alert]").waitFor();
    assert.match(await page.locator("dialog [role=alert]").textContent(), /matcher "nonsense" is not like severity="critical"$/);
    await shot(page, "silence");

    await page.locator("#silence-matchers").fill("model=\"credit\"");
    await page.locator("dialog .primary").click();
    const line = page.locator("tr", { hasText: "new data on the way" });
    await line.waitFor();
    assert.match(await line.textContent(), /model="credit".*operator/);
    await line.locator("button").click();
    await line.waitFor({ state: "detached" });
    check();
}

export async function a_failed_notification_is_sent_again({ page, open }) {
    const check = strict(page);
    await open_alerts(page, open);
    const line = page.locator("tr", { hasText: "chat" });
    assert.match(await line.textContent(), /failed.*HTTP 404the receiver answered 404 Not Found/);

    await line.locator("button", { hasText: "Send again" }).click();

    await page.locator("tr", { hasText: "chat" }).locator(".badge", { hasText: "waiting" }).waitFor();
    check();
}

export async function the_overview_says_which_model_has_alerts({ page, open, axe }) {
    const check = strict(page);

    await open("/");
    await page.locator(".alert-link").first().waitFor();

    assert.match(await page.locator("tr", { hasText: "credit" }).locator(".alert-link").textContent(), /critical · 2 firing/);
    await page.locator(".models tbody tr").nth(2).locator(".spark path").first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it fits without scrolling sideways");
    await shot(page, "overview-alerts");
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_phone_and_the_dark_show_it_all({ page, open, axe }) {
    const check = strict(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 844 });

    await open_alerts(page, open);

    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${over} px too wide`);
    await shot(page, "alerts-phone");
    assert.deepEqual(await axe(), []);
    check();
}

export async function what_fires_later_appears_by_itself({ page, open }) {
    const check = strict(page);
    await open_alerts(page, open);
    await page.locator("#live[data-state=on]").waitFor();

    server.stdin.write("a");

    await page.locator(".alert", { hasText: "churn-silent" }).waitFor();
    await page.locator("#nav .count", { hasText: "3" }).waitFor();
    check();
}
