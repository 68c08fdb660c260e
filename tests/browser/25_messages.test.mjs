// From the message that a receiver got to the page: the link of each kind of alert is followed, and shows what
// the alert saw. One receiver takes messages, one fails; the System page says so of each.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { HOUR, MINUTE, random, shot, start, strict } from "./daemon.mjs";

const HOURS = 6, now = Math.floor(Date.now() / HOUR) * HOUR - 23 * MINUTE; // windows of an hour end at no whole hour
const links = new Map(); // by alert
let daemon;

const credit = { model: "credit", every: "1m" };
const rules = [
    { ...credit, name: "errors", version: "v2", segment: { country: "de" }, metric: "error_rate", window: "2h", above: 0.2 },
    { ...credit, name: "income-moved", drift: "feature", feature: "income", window: "1h" },
    { ...credit, name: "inputs-moved", version: "v2", drift: "any", window: "1h" },
    { ...credit, name: "gaps", quality: "missing", feature: "city", above: 0.3, window: "30m" },
    { ...credit, name: "jump", change: "error_rate", window: "2h" },
    { name: "rolled", experiment: "any", on: "rolled_back", window: "6h", every: "1m" },
];

function receiver(at_end, status, keep) {
    const server = createServer((request, response) => {
        let body = "";
        request.on("data", (part) => { body += part; });
        request.on("end", () => { keep(JSON.parse(body)); response.statusCode = status; response.end(); });
    });
    at_end(() => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }));
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}/`)));
}

// A quarter of version v2's requests fail in Germany from `from` on, incomes double, cities are not told any more.
function events(from, to, next) {
    const made = [];
    for (let at = from, n = 0; at < to; at += 6000, n++) {
        const version = n % 2 ? "v2" : "v1", country = n % 3 ? "de" : "fr", late = at >= now - 2 * HOUR;
        const failed = next() < (late && version === "v2" && country === "de" ? 0.6 : 0.02);
        const features = { income: (late ? 2 : 1) * 30000 * Math.exp(0.4 * next.normal()), city: late ? null : n % 5 ? "berlin" : "paris" };
        made.push({ type: "prediction", id: `m${at}`, ts: at, model: "credit", version, segment: { country }, features, ...(failed ? { error: "down" } : { score: next() }) });
    }
    return made;
}

async function until(what, holds) {
    for (let i = 0; i < 300; i++) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${what}: ${[...links.keys()]} ${JSON.stringify(await daemon.get("/models/credit/changes"))}`);
}

export async function setup(context) {
    const keep = ({ data }) => { for (const alert of data.alerts) if (alert.status === "firing") links.set(alert.name, alert.url); };
    const works = await receiver(context.at_end, 200, keep), fails = await receiver(context.at_end, 503, () => {});
    const hook = (name, url) => ({ name, type: "webhook", url, allow_private: true });
    daemon = await start(context, {
        models: [{ name: "credit", task: "binary", positive: 1, segments: ["country"], label_horizon: "1h", changes: { expected_run_time: 10000, metrics: ["error_rate"], features: false } }],
        alerts: rules,
        receivers: [hook("oncall", works), hook("chat", fails)],
        route: { receiver: "oncall", group_by: ["alertname"], group_wait: "0s", group_interval: "1s", routes: [{ matchers: [`alertname="errors"`], receiver: "chat", continue: true }, { receiver: "oncall" }] },
    });
    const next = random(4);
    await daemon.put("/models/credit/reference", events(now - 40 * HOUR, now - 30 * HOUR, next));
    await daemon.post(events(now - HOURS * HOUR, now - 2 * HOUR, next));
    const steps = [{ weight: 5, min_duration: "10d" }, { weight: 100, min_duration: "1h" }];
    await daemon.command("/experiments", { name: "credit-v2", model: "credit", control: "v1", treatment: "v2", salt: "s", steps, metrics: [{ metric: "error_rate", role: "guardrail", margin: 0.9, harm_margin: 0.9 }] });
    await daemon.command("/experiments/credit-v2/start", { reason: "try it" });
    await daemon.command("/experiments/credit-v2/rollback", { reason: "not today" });
    await daemon.post(events(now - 2 * HOUR, now, next));
    await daemon.post([{ type: "prediction", id: "end", ts: now + 1000, model: "credit", version: "v1", score: 0.5 }]);
    await until("every rule is told", () => [...rules.map((rule) => rule.name), "credit-v2"].every((name) => links.has(name)));
    return daemon.address;
}

const alert_of = async (name) => (await daemon.get("/alerts")).items.find((alert) => alert.rule === name);

export async function a_level_leads_to_the_metric_in_its_version_and_slice_with_the_value_that_fired({ page }) {
    const check = strict(page), { data } = await alert_of("errors");
    await page.goto(links.get("errors"));
    await page.locator(".chart canvas").first().waitFor();

    assert.deepEqual(await page.locator(".chart h2").allTextContents().then((names) => names.map((name) => name.split(" ")[0])), ["What", "error_ratelower"]);
    assert.equal(await page.locator("#segment").inputValue(), "country:de");
    assert.equal(await page.locator("#window").inputValue(), "2h");
    assert.deepEqual(await page.locator(".version-button").evaluateAll((all) => all.map((one) => [one.textContent, one.getAttribute("aria-pressed")])), [["v1", "false"], ["v2", "true"]]);
    const chart = page.locator(".chart[aria-label=error_rate]");
    await chart.getByRole("button", { name: "Table" }).click();
    const newest = await chart.locator("tbody tr").first().locator("td, th").allTextContents();
    assert.ok(newest.some((text) => text.startsWith(`${(100 * data.value).toPrecision(3).replace(/\.?0+$/, "")}`)), `${newest}: ${data.value}`);
    assert.ok(newest.includes(String(data.n)), `${newest}: ${data.n}`);
    await shot(page, "link-level");
    check();
}

export async function drift_leads_to_the_feature_and_the_window_that_drifted({ page }) {
    const check = strict(page);
    for (const [name, feature] of [["income-moved", "income"], ["inputs-moved", null]]) {
        const { data } = await alert_of(name);
        await page.goto("about:blank"); // each link is opened anew
        await page.goto(links.get(name));
        await page.locator(".detail-head").waitFor();
        const chosen = page.locator(".heat [aria-selected=true]");
        assert.match(await chosen.getAttribute("aria-label"), /: drifted|, drifted/);
        if (feature) assert.equal(await page.locator(".detail-head h2").textContent().then((text) => text.split(" ")[0]), feature);
        else assert.equal(await page.locator("#version").inputValue(), "v2");
        const iso = new Date(data.window.start).toISOString().replace(".000", "");
        assert.ok((await page.locator(".detail-head time").first().getAttribute("title")).includes(iso), iso);
        assert.equal(await page.locator("#window").inputValue(), "1h");
    }
    await shot(page, "link-drift");
    check();
}

export async function gaps_lead_to_the_rate_of_missing_values_of_the_feature({ page }) {
    const check = strict(page);
    await page.goto(links.get("gaps"));
    await page.locator(".detail-head").waitFor();

    assert.match(await page.locator(".detail-head h2").textContent(), /^city/);
    assert.equal(await page.locator("#statistic").inputValue(), "missing_rate");
    assert.equal(await page.locator("#window").inputValue(), "30m");
    assert.match(await page.locator(".heat [aria-selected=true]").getAttribute("aria-label"), /missing_rate 0\.7667/);
    check();
}

export async function a_change_leads_to_the_model_when_it_changed({ page }) {
    const check = strict(page);
    await page.goto(links.get("jump"));
    await page.locator(".chart canvas").first().waitFor();

    assert.match(await page.locator(".happened svg").getAttribute("aria-label"), /error_rate/);
    assert.equal(await page.locator("h1").textContent(), "credit");
    check();
}

export async function what_happened_to_a_release_leads_to_the_release({ page, open }) {
    const check = strict(page);
    for (const name of ["rolled", "credit-v2"]) {
        await page.goto("about:blank");
        await page.goto(links.get(name));
        await page.locator(".verdict-banner").waitFor();
        assert.equal(await page.locator("h1").textContent(), "credit-v2");
        assert.match(await page.locator(".verdict-banner").textContent(), /rolled back.*not today/);
    }
    await open("/#/alerts");
    await page.getByRole("link", { name: "See the release of rolled" }).click();
    await page.locator(".verdict-banner").waitFor();
    assert.match(page.url(), /#\/releases\/credit-v2$/);
    check();
}

export async function the_system_page_tells_the_receiver_that_works_from_the_one_that_fails({ page, open, axe }) {
    const check = strict(page);
    await until("the failing one was tried twice", async () => (await daemon.get("/system")).receivers.some((r) => r.receiver === "chat" && r.retried > 0));
    await open("/#/system");
    const row = (name) => page.locator("table", { has: page.locator("caption", { hasText: "Receivers" }) }).locator("tbody tr", { has: page.locator("th", { hasText: name }) });
    await row("oncall").waitFor();

    const [, state, sent, repeated, failed, problem] = await row("oncall").locator("th, td").allTextContents();
    assert.deepEqual([state, repeated, failed, problem], ["nothing waits", "0", "0", "–"]);
    assert.ok(Number(sent) >= links.size, `${sent} of ${links.size}`);
    const bad = await row("chat").locator("th, td").allTextContents();
    assert.equal(bad[0], "chatwebhook");
    assert.match(bad[1], /1 waiting, the oldest for|failing: rests for/);
    assert.equal(bad[2], "0");
    assert.ok(Number(bad[3]) > 0, bad[3]);
    assert.match(bad[5], /503/);
    await shot(page, "system-receivers");
    assert.deepEqual(await axe(), []);
    check();
}
