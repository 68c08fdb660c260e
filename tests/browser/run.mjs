// Runs the tests of the page: tests/browser/*.test.mjs, each function in a fresh headless Chromium
// page. `node tests/browser/run.mjs [--counts FILE] [NAME…]`
//
// A test file exports functions named as sentences; each is given { page, open, axe, skip } and
// fails by an exception. `open(path)` goes to the daemon of the test file, started once a file by
// its exported `setup({ root, folder, free_port, at_end })`, which returns the address.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { free_port } from "./port.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const chromium_path = process.env.ASSAY_CHROMIUM || "/usr/bin/chromium";
const TEST_TIMEOUT_MS = 60_000;

class Skip extends Error {}

function within(promise, ms, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not done after ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function start_browser(folder) {
    if (!existsSync(chromium_path))
        throw new Skip(`no Chromium at ${chromium_path}: run ./dev setup`);
    if (!existsSync(join(root, "node_modules", "playwright-core")))
        throw new Skip("playwright-core is not in node_modules: run ./dev setup");
    const { chromium } = await import("playwright-core");
    return chromium.launchPersistentContext(join(folder, "profile"), {
        executablePath: chromium_path,
        headless: true,
        viewport: { width: 1280, height: 900 },
        args: [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    });
}

// Findings of axe-core on the page as it stands, one line each.
async function axe(page) {
    await page.evaluate(readFileSync(join(root, "node_modules/axe-core/axe.min.js"), "utf8"));
    const { violations } = await page.evaluate("axe.run()");
    return violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target).join(" ")})`);
}

async function run_file(file, names, counts) {
    const folder = mkdtempSync(join(tmpdir(), "assay-browser-"));
    const at_end = [];
    const report = (word, name, why = "") => {
        counts[word] += 1;
        console.log(`${word.padEnd(6)} ${file}::${name} ${why}`.trimEnd());
    };
    const tests = await import(pathToFileURL(join(here, file)));
    const chosen = Object.entries(tests).filter(
        ([name, test]) =>
            typeof test === "function" && name !== "setup" &&
            (names.length === 0 || names.some((part) => `${file}::${name}`.includes(part))),
    );
    if (chosen.length === 0)
        return;
    try {
        let context, address;
        try {
            context = await start_browser(folder);
            at_end.push(() => context.close());
            if (tests.setup)
                address = await within(
                    tests.setup({ root, folder, free_port, at_end: (f) => at_end.push(f),
                                  skip: (why) => { throw new Skip(why); } }),
                    TEST_TIMEOUT_MS, "setup");
        } catch (error) {
            for (const [name] of chosen)
                if (error instanceof Skip)
                    report("skip", name, error.message);
                else
                    report("FAILED", name, error.stack);
            return;
        }
        for (const [name, test] of chosen) {
            const page = await context.newPage();
            const trouble = [];
            page.on("pageerror", (error) => trouble.push(`error on the page: ${error}`));
            try {
                await within(
                    test({ page, root, folder, address, open: (path) => page.goto(address + path),
                           axe: () => axe(page), skip: (why) => { throw new Skip(why); } }),
                    TEST_TIMEOUT_MS, name);
                if (trouble.length > 0)
                    throw new Error(trouble.join("\n"));
                report("ok", name);
            } catch (error) {
                if (error instanceof Skip)
                    report("skip", name, error.message);
                else
                    report("FAILED", name, `\n${error.stack}\n${trouble.join("\n")}`);
            } finally {
                await page.close();
            }
        }
    } finally {
        for (const end of at_end.reverse())
            await within(Promise.resolve(end()), 20_000, "the end").catch(console.error);
        rmSync(folder, { recursive: true, force: true });
    }
}

const words = process.argv.slice(2);
let counts_file = null;
const names = [];
while (words.length > 0) {
    const word = words.shift();
    if (word === "--counts")
        counts_file = words.shift();
    else
        names.push(word);
}
const counts = { ok: 0, FAILED: 0, skip: 0 };
for (const file of readdirSync(here).filter((f) => f.endsWith(".test.mjs")).sort())
    await run_file(file, names, counts);
if (counts_file)
    writeFileSync(counts_file, `${counts.ok} ${counts.FAILED} ${counts.skip}\n`);
console.log(`browser: ${counts.ok} passed, ${counts.FAILED} failed, ${counts.skip} skipped`);
process.exit(counts.FAILED > 0 ? 1 : 0);
