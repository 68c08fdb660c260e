// The Alerts page, and alerts on Overview and Model, of a live daemon whose rules fired on what it was
// sent; one of its receivers answers 404 until it is told otherwise.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { HOSTILE, HOUR, MINUTE, random, shot, start, strict } from "./daemon.mjs";

const HOURS = 8;
let daemon = null, next = null, now = 0, n = 0, chat_answers = 404;

function receiver(at_end, answer) {
    const server = createServer((request, response) => {
        request.resume();
        request.on("end", () => { response.statusCode = answer(); response.end(); });
    });
    at_end(() => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }));
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}/`)));
}

const rules = [
    { name: "auc-low", model: "credit", version: "v4", metric: "roc_auc", window: "1h", below: 0.9, severity: "critical", annotations: { note: "see the runbook" } },
    { name: HOSTILE, model: "credit", version: "v4", segment: { country: "fr" }, metric: "accuracy", window: "1h", below: 0.9, severity: "warning", annotations: { note: HOSTILE } },
    { name: "latency-high", model: "credit", version: "v3", metric: "latency_p50", window: "10m", above: 90, severity: "warning" },
    { name: "errors-high", model: "churn", metric: "error_rate", window: "10m", above: 0.2, for: "7d", severity: "info" },
    { name: "churn-slow", model: "churn", metric: "latency_p50", window: "5m", above: 500, interval: false, severity: "critical" },
];

// A minute of both models; the older version was slow for an hour, long ago.
function minute(at, churn_ms) {
    const made = [], slow = at > now - (HOURS - 2) * HOUR && at < now - (HOURS - 3) * HOUR;
    const add = (model, version, latency_ms, skill, error) => {
        const id = `a${n++}`, ts = at + Math.floor(next() * MINUTE), positive = next() < 0.4, score = 1 / (1 + Math.exp(-(next.normal() + (positive ? skill : -skill))));
        made.push({ type: "prediction", id, ts, model, version, segment: { country: n % 2 ? "fr" : "de" }, latency_ms, ...(error ? { error: "down" } : { score }) });
        if (!error) made.push({ type: "label", id, ts, label: positive ? 1 : 0 });
    };
    for (let i = 0; i < 4; i++) add("credit", i % 2 ? "v3" : "v4", slow ? 150 : 40, i % 2 ? 2.5 : 0.5);
    for (let i = 0; i < 2; i++) add("churn", "2024-05", churn_ms, 1, i === 0);
    return made.sort((a, b) => a.ts - b.ts);
}

export async function setup(context) {
    const oncall = await receiver(context.at_end, () => 200), chat = await receiver(context.at_end, () => chat_answers);
    daemon = await start(context, {
        models: ["credit", "churn"].map((name) => ({ name, task: "binary", positive: 1, segments: ["country"], label_horizon: "1h" })),
        alerts: rules.map((rule) => ({ ...rule, every: "1m" })),
        receivers: [{ name: "oncall", type: "webhook", url: oncall, allow_private: true }, { name: "chat", type: "webhook", url: chat, allow_private: true }],
        route: { receiver: "oncall", group_by: ["alertname"], group_wait: "0s", group_interval: "1s", routes: [{ matchers: [`version="v4"`, `severity="warning"`], receiver: "chat" }] },
    });
    next = random(20);
    now = Math.floor(Date.now() / MINUTE) * MINUTE;
    const events = [];
    for (let at = now - HOURS * HOUR; at < now; at += MINUTE) events.push(...minute(at, 12));
    await daemon.post(events);
    for (let i = 0; i < 400; i++) {
        const [alerts, deliveries] = [await daemon.get("/alerts"), await daemon.get("/deliveries")];
        if (alerts.items.length === 3 && deliveries.items.some((d) => d.state === "failed")) return daemon.address;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`not what the rules say: ${JSON.stringify(await daemon.get("/alerts"))} ${JSON.stringify(await daemon.get("/deliveries"))}`);
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
    assert.match(first, /roc_auc 0\.\d+ 0\.\d+ to 0\.\d+ · level 0\.9/);
    assert.match(first, /firing since .* \(\d.* ago\) · nobody has acknowledged it/);
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
    assert.match(await line.textContent(), /failed.*HTTP 404/);

    chat_answers = 200;
    await line.locator("button", { hasText: "Send again" }).click();

    await page.locator("tr", { hasText: "chat" }).locator(".badge", { hasText: "sent" }).waitFor();
    check();
}

export async function the_overview_says_which_model_has_alerts({ page, open, axe }) {
    const check = strict(page);

    await open("/");
    await page.locator(".alert-link").first().waitFor();

    assert.match(await page.locator("tr", { hasText: "credit" }).locator(".alert-link").textContent(), /critical · 2 firing/);
    await page.locator(".models tbody tr").nth(1).locator(".spark path").first().waitFor();
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

    for (let i = 0; i < 4; i++) await daemon.post(minute(now + i * MINUTE, 900)); // a little ahead of the clock

    await page.locator(".alert", { hasText: "churn-slow" }).waitFor();
    await page.locator("#nav .count", { hasText: "3" }).waitFor();
    check();
}

export async function what_was_done_after_an_alert_fired_stands_in_the_place_of_what_was_done_then({ page, open }) {
    const check = strict(page);
    await open("/");
    const told = (since, model = "credit") => page.evaluate(async (release) => {
        const { background } = await import("/attention.js");
        const data = { model: "credit", fired: 1000, action: "nothing rolled back: no experiment runs on the model" };
        return background(data, [release]).map((line) => line?.textContent ?? "").join("");
    }, { model, treatment: "v4", state: "rolled_back", since });

    assert.match(await told(1001), /^Done: v4 was rolled back after it fired, /);
    assert.equal(await told(999), "Done: nothing rolled back: no experiment runs on the model");
    assert.equal(await told(1001, "churn"), "Done: nothing rolled back: no experiment runs on the model");
    check();
}

export async function the_overview_says_what_broke_where_since_when_and_what_was_done({ page, open, axe }) {
    const check = strict(page);

    await open("/");
    await page.locator(".attention li").nth(1).waitFor();

    const first = page.locator(".attention li").first();
    assert.match(await first.locator(".attention-head").textContent(), /^criticalauc-lowcreditv4roc_auc 0\.\d+ 0\.\d+ to 0\.\d+ · level 0\.9 · n [\d,]+ · over 1hsince .* ago\)/);
    assert.match(await first.textContent(), /Done: nothing rolled back: no experiment runs on the model/);
    assert.match(await page.locator(".models tbody tr").first().textContent(), /^credit.*critical · \d firing/, "the worst model stands first");
    assert.equal(await page.locator(".attention img").count(), 0);
    assert.deepEqual(await axe(), []);
    await first.locator("a").first().click();
    await page.locator("h1", { hasText: "credit" }).waitFor();
    assert.match(page.url(), /metrics=roc_auc&version=v4&window=1h/);
    check();
}

export async function rules_are_listed_and_a_heading_sorts_them_as_the_address_says({ page, open, axe }) {
    const check = strict(page), names = () => page.locator("section[aria-label=Rules] tbody th").allTextContents();
    await open("/#/alerts");
    const heading = page.locator("section[aria-label=Rules]").getByRole("button", { name: "Rule", exact: true });
    await heading.waitFor();
    const as_they_came = await names();
    const by_name = [...as_they_came].sort(new Intl.Collator("en", { numeric: true }).compare);

    await heading.focus();
    await page.keyboard.press("Enter");
    await page.locator("section[aria-label=Rules] th[aria-sort=ascending]").waitFor();
    assert.deepEqual(await names(), by_name);
    assert.equal(await heading.evaluate((button) => button === document.activeElement), true, "the keyboard stays there");
    await page.keyboard.press("Enter");
    await page.locator("section[aria-label=Rules] th[aria-sort=descending]").waitFor();
    assert.match(page.url(), /sort=rules%3A-0/);
    await page.reload();
    await page.locator("section[aria-label=Rules] th[aria-sort=descending]").waitFor();

    assert.deepEqual(await names(), by_name.reverse());
    assert.match(await page.locator("section[aria-label=Rules] tr", { hasText: "errors-high" }).textContent(), /error_rate above 20 % over 10m for 7 d/);
    assert.deepEqual(await axe(), []);
    check();
}

export async function an_alert_on_drift_leads_to_the_drift_page_of_its_message({ page, open }) {
    const check = strict(page);
    await open("/#/alerts");
    const link = (data) => page.evaluate((d) => import("/alerts_list.js").then(({ model_link }) => model_link(d)), data);

    assert.equal(await link({ model: "credit", url: "https://assay.example.org/x/#/models/credit/drift?window=1h&from=1&to=2" }), "#/models/credit/drift?window=1h&from=1&to=2");
    assert.match(await link({ model: "credit", metric: "roc_auc", url: "https://assay.example.org/#/models/credit?window=1h&from=1&to=2" }), /^#\/models\/credit\?metrics=roc_auc/);
    assert.match(await link({ model: "credit", url: "javascript:alert(1)" }), /^#\/models\/credit/);
    check();
}
