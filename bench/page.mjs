#!/usr/bin/env node
// How soon the page is there, and how much of it is sent: a fresh Chromium for each visit, nothing
// cached. Prints Markdown. usage: page.mjs URL [VISITS]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, visits = "5"] = process.argv.slice(2);
const pages = [
    ["Overview", "/", ".models .spark path"], ["Model, a day", "/#/models/credit", ".charts canvas"], ["Model, 90 days", "/#/models/credit?range=90d", ".charts canvas"],
    ["Drift", "/#/models/credit/drift", ".heat, .message"], ["Compare", "/#/models/credit/compare", ".curve"], ["System", "/#/system", ".facts"],
];

async function visit(path, wanted) {
    const folder = mkdtempSync(join(tmpdir(), "assay-paint-"));
    const browser = await chromium.launchPersistentContext(folder, { executablePath: process.env.ASSAY_CHROMIUM || "/usr/bin/chromium", headless: true, args: ["--no-sandbox", "--disable-gpu"] });
    try {
        const page = await browser.newPage(), devtools = await browser.newCDPSession(page);
        let bytes = 0;
        devtools.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
        await devtools.send("Network.enable");
        await page.goto(url + path);
        await page.locator(wanted).first().waitFor();
        const [first, shown] = await page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN, performance.now()]);
        return { first, shown, bytes };
    } finally {
        await browser.close();
        rmSync(folder, { recursive: true, force: true });
    }
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
console.log(`\n| page, ${visits} visits | first paint, median | its data drawn, median | sent |\n|---|---|---|---|`);
for (const [name, path, wanted] of pages) {
    const seen = [];
    for (let i = 0; i < Number(visits); i++) seen.push(await visit(path, wanted));
    console.log(`| ${name} | ${median(seen.map((v) => v.first)).toFixed(0)} ms | ${median(seen.map((v) => v.shown)).toFixed(0)} ms | ${(median(seen.map((v) => v.bytes)) / 1000).toFixed(0)} kB |`);
}
console.log("\naims: first paint 1 s, 300 kB");
