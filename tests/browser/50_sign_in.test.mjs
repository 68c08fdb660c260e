// Signing in against a live daemon that asks for tokens: the way in and out, what each scope may do
// from the page, and tokens that are taken away while somebody is signed in.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fits, program, shot, start, strict } from "./daemon.mjs";

let daemon, viewer, operator, file;

function token_new(context, name, scopes) {
    const made = spawnSync(program(context), ["token", "new", name, scopes, "--file", file], { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    return made.stdout.trim();
}

export async function setup(context) {
    file = join(context.folder, "tokens.txt");
    viewer = token_new(context, "viewer", "read");
    operator = token_new(context, "ann", "operate,ingest");
    daemon = await start(context, { http: { tokens: file }, models: [{ name: "credit", task: "binary", positive: 1 }] }, { token: operator });
    await daemon.post(Array.from({ length: 50 }, (_, i) => ({ type: "prediction", id: `p${i}`, ts: Date.now() - 60_000 + i, model: "credit", version: "v1", score: 0.4 })));
    await daemon.command("/experiments", { name: "credit-v2", model: "credit", control: "v1", treatment: "v2", metrics: [{ metric: "error_rate", margin_relative: 0.5 }] });
    return daemon.address;
}

async function sign_in(page, open, token, path = "/") {
    await page.context().clearCookies();
    await open(path);
    await page.locator("#token").fill(token);
    await page.locator("main button[type=submit]").click();
}

export async function nothing_is_shown_before_signing_in({ page, open, axe }) {
    const check = strict(page);
    await page.context().clearCookies();

    await open("/#/models/credit");
    await page.locator("h1", { hasText: "Sign in" }).waitFor();

    assert.equal(await page.locator("#nav a").count(), 0);
    assert.ok(!(await page.locator("body").textContent()).includes("credit"));
    await shot(page, "sign-in");
    assert.deepEqual(await axe(), []);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 844 });
    await fits(page);
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_wrong_token_is_refused_and_said({ page, open }) {
    const check = strict(page, /401/);

    await sign_in(page, open, "not-a-token");

    await page.locator("[role=alert]").waitFor();
    assert.match(await page.locator("[role=alert]").textContent(), /this token is not known, or has expired/);
    assert.deepEqual(await page.context().cookies(), []);
    check();
}

export async function signing_in_opens_the_page_that_was_asked_for({ page, open }) {
    const check = strict(page);

    await sign_in(page, open, viewer, "/#/models/credit");
    await page.locator("h1", { hasText: "credit" }).waitFor();
    await page.locator("#live[data-state=on]").waitFor();

    assert.equal(await page.locator("#who .who-name").textContent(), "viewer");
    const [cookie] = await page.context().cookies();
    assert.match(cookie.name, /^__Host-assay-\d+$/);
    assert.deepEqual([cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path], [true, true, "Strict", "/"]);
    assert.ok(Math.abs(cookie.expires - Date.now() / 1000 - 12 * 3600) < 120);
    assert.equal(await page.evaluate(() => document.cookie), "");
    assert.ok(!(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).includes(viewer));
    await page.reload();
    await page.locator("h1", { hasText: "credit" }).waitFor();
    check();
}

export async function a_token_that_may_only_read_sees_no_working_buttons({ page, open }) {
    const check = strict(page);
    await sign_in(page, open, viewer, "/#/releases/credit-v2");
    await page.locator("#do-start").waitFor();

    assert.equal(await page.locator("#do-start").isDisabled(), true);
    assert.match(await page.locator(".release-actions").textContent(), /Your token may only read/);
    check();
}

export async function the_alerts_page_without_alerts_says_what_to_do_next({ page, open, axe }) {
    const check = strict(page);
    await sign_in(page, open, operator, "/#/alerts");
    await page.locator("h2", { hasText: "Silences" }).waitFor();
    await page.locator("text=There is no rule: nothing can fire").waitFor();

    const said = await page.locator("main").textContent();
    assert.match(said, /No silence runs: whoever the routes name is told/);
    assert.match(said, /Nobody was told anything yet/);
    assert.match(said, /Nothing happened yet/);
    assert.equal(await page.locator("#new-silence").isDisabled(), false);
    assert.ok(!said.includes("Your token may only read"));
    await shot(page, "alerts-empty");
    assert.deepEqual(await axe(), []);
    check();
}

export async function a_token_that_may_only_read_cannot_silence({ page, open }) {
    const check = strict(page);
    await sign_in(page, open, viewer, "/#/alerts");
    await page.locator("text=Your token may only read").waitFor();

    assert.equal(await page.locator("#new-silence").isDisabled(), true);
    check();
}

export async function alerts_that_cannot_be_read_are_an_error_with_a_way_back({ page, open }) {
    const check = strict(page, /500/);
    const refuse = (route) => route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ title: "Internal", status: 500, detail: "the disk is gone" }) });
    await page.route("**/api/v1/silences**", refuse);
    await sign_in(page, open, operator, "/#/alerts");

    await page.locator(".message.error", { hasText: "the disk is gone" }).waitFor();
    await page.unroute("**/api/v1/silences**", refuse);
    // In one step: the page also tries again by itself when an event comes, and the button goes.
    await page.evaluate(() => document.querySelector(".message.error button")?.click());
    await page.locator("text=No silence runs").waitFor();

    assert.equal(await page.locator(".message.error").count(), 0);
    check();
}

export async function a_viewer_sees_the_system_but_no_refused_events({ page, open }) {
    const check = strict(page, /403/);
    await sign_in(page, open, viewer, "/#/system");
    await page.locator("text=Examples are for tokens of the scope admin").waitFor();
    assert.match(await page.locator(".facts").textContent(), /Stateready/);
    assert.equal(await page.locator(".message.error").count(), 0);
    check();
}

export async function changes_bear_the_name_of_the_token({ page, open }) {
    const check = strict(page);
    await sign_in(page, open, operator, "/#/releases/credit-v2");

    await page.locator("#do-start").click();
    await page.locator("#order-reason").fill("because");
    await page.locator("main dialog button[type=submit]").click();
    await page.locator(".page-head .badge", { hasText: "running" }).waitFor();

    assert.match(await page.locator(".transitions li").first().textContent(), /started at \d+ % by ann: because/);
    const rows = (await daemon.get("/audit")).items;
    assert.deepEqual([rows.at(-1).action, rows.at(-1).who], ["experiment.start", "ann"]);
    check();
}

export async function signing_out_leads_to_the_way_in({ page, open }) {
    const check = strict(page, /401/); // how many alerts fire may be asked at that moment
    await sign_in(page, open, viewer);
    await page.locator(".models tbody tr").first().waitFor();
    await page.locator("#sign-out").click();
    await page.locator("h1", { hasText: "Sign in" }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    check();
}

export async function without_its_token_a_session_ends({ page, open }) {
    const check = strict(page, /401/);
    await sign_in(page, open, viewer);
    await page.locator(".models tbody tr").first().waitFor();

    writeFileSync(file, readFileSync(file, "utf8").split("\n").filter((line) => !line.startsWith("viewer:")).join("\n"));
    chmodSync(file, 0o600);
    daemon.child.kill("SIGHUP");
    const bearer = { headers: { Authorization: `Bearer ${viewer}` } };
    for (let i = 0; i < 100 && (await fetch(`${daemon.address}/api/v1/models`, bearer)).status !== 401; i++) await new Promise((r) => setTimeout(r, 50));
    await page.keyboard.press("s");

    await page.locator("h1", { hasText: "Sign in" }).waitFor();
    assert.match(await page.locator("main").textContent(), /Your session has ended/);
    check();
}
