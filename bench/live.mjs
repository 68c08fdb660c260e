#!/usr/bin/env node
// How soon a commit is on the page: commits at odd times, an otherwise idle daemon, each page open in turn. Prints
// Markdown. usage: live.mjs [COMMITS]   (the build that ASSAY_BUILD names)
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { random } from "../tests/browser/daemon.mjs";
import { delay_of, open_live, pages, start_hours } from "../tests/browser/live.mjs";
import { free_port } from "../tests/browser/port.mjs";

const commits = Number(process.argv[2] ?? 12), chance = random(3);
const folder = mkdtempSync(join(tmpdir(), "assay-live-")), at_end = [];
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const context = { root, folder, free_port, at_end: (end) => at_end.push(end), skip: (why) => { throw new Error(why); } };

async function measure(browser, { daemon, commit }) {
    console.log(`\n| page, ${commits} commits | from the commit to the page, median | longest | from sending the events, longest |\n|---|---|---|---|`);
    const page = await browser.newPage();
    for (const [path, selector] of Object.entries(pages)) {
        await open_live(page, daemon.address, path);
        const seen = [];
        for (let i = 0; i < commits; i++) {
            await page.waitForTimeout(200 + 1500 * chance());
            seen.push(await delay_of(page, selector, commit));
        }
        const sorted = seen.map((one) => one.from_after).sort((a, b) => a - b);
        console.log(`| ${path} | ${sorted[Math.floor(commits / 2)]} ms | ${sorted.at(-1)} ms | ${Math.max(...seen.map((one) => one.from_before))} ms |`);
    }
}

try {
    const browser = await chromium.launchPersistentContext(join(folder, "profile"), { executablePath: process.env.ASSAY_CHROMIUM || "/usr/bin/chromium", headless: true, args: ["--no-sandbox", "--disable-gpu"] });
    at_end.push(() => browser.close());
    await measure(browser, await start_hours(context));
} finally {
    for (const end of at_end.reverse()) await end();
    rmSync(folder, { recursive: true, force: true });
}
