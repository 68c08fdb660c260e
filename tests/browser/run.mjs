// Runs the tests of the page: tests/browser/*.test.mjs, each function in a fresh headless Chromium
// page. `node tests/browser/run.mjs [--together N] [--counts FILE] [NAME…]`
//
// Each file is run by a process of its own, two at a time (--together), with a browser and ports of its own; what it
// says is printed whole when it ends.
//
// A test file exports functions named as sentences; each is given { page, open, axe, skip } and
// fails by an exception. `open(path)` goes to the daemon of the test file, started once a file by
// its exported `setup({ root, folder, free_port, at_end })`, which returns the address.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { free_port, ports_of } from "./port.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const chromium_path = process.env.ASSAY_CHROMIUM || "/usr/bin/chromium";
const TEST_TIMEOUT_MS = 60_000, STEP_TIMEOUT_MS = 30_000;

// Times are only guards against waiting for ever: a loaded machine has more.
const patience = () => 1 + loadavg()[0] / availableParallelism();

class Skip extends Error {}

function within(promise, quiet_ms, what) {
    const ms = quiet_ms * patience();
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not done after ${ms.toFixed(0)} ms`)), ms);
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

// On a busy machine the browser may be too slow for the driver's own limit; a tab is not what is tested.
async function open_tab(context) {
    for (let left = 2; ; left--) {
        try {
            return await context.newPage();
        } catch (error) {
            if (left === 0)
                throw error;
        }
    }
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
    const report = (word, name, why = "", since = Date.now()) => {
        counts[word] += 1;
        console.log(`${word.padEnd(6)} ${file}::${name} (${((Date.now() - since) / 1000).toFixed(1)} s) ${why}`.trimEnd());
    };
    const tests = await import(pathToFileURL(join(here, file)));
    const chosen = Object.entries(tests).filter(
        ([name, test]) =>
            typeof test === "function" && name !== "setup" &&
            (names.length === 0 || names.some((part) => `${file}::${name}`.includes(part))),
    );
    if (chosen.length === 0)
        return;
    const began = Date.now();
    try {
        let context, address;
        try {
            context = await start_browser(folder);
            context.setDefaultTimeout(STEP_TIMEOUT_MS * patience());
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
        console.log(`       ${file} was ready in ${((Date.now() - began) / 1000).toFixed(1)} s`);
        for (const [name, test] of chosen) {
            const since = Date.now(), trouble = [];
            let page;
            try {
                page = await open_tab(context);
                page.on("pageerror", (error) => trouble.push(`error on the page: ${error}`));
                await within(
                    test({ page, root, folder, address, open: (path) => page.goto(address + path),
                           axe: () => axe(page), skip: (why) => { throw new Skip(why); } }),
                    TEST_TIMEOUT_MS, name);
                if (trouble.length > 0)
                    throw new Error(trouble.join("\n"));
                report("ok", name, "", since);
            } catch (error) {
                if (error instanceof Skip)
                    report("skip", name, error.message, since);
                else
                    report("FAILED", name, `\n${error.stack}\n${trouble.join("\n")}`, since);
            } finally {
                await page?.close();
            }
        }
    } finally {
        for (const end of at_end.reverse())
            await within(Promise.resolve(end()), 20_000, "the end").catch(console.error);
        rmSync(folder, { recursive: true, force: true });
    }
}

// One file by a process of its own, whose last line holds its counts.
async function run_apart(file, names, ports, counts) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--file", file, ...names],
        { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ASSAY_PORTS: ports } });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text) => { said += text; });
    const code = await new Promise((resolve) => child.once("close", resolve));
    const lines = said.trimEnd().split("\n"), told = code === 0 && JSON.parse(lines.pop());
    for (const word of Object.keys(counts))
        counts[word] += told ? told[word] : Number(word === "FAILED");
    if (lines.join("") !== "")
        console.log(lines.join("\n"));
    if (!told)
        console.log(`FAILED ${file} ended with code ${code}`);
}

async function run_all(names, together, counts) {
    const files = readdirSync(here).filter((f) => f.endsWith(".test.mjs")).sort();
    const work = async (n) => {
        while (files.length > 0)
            await run_apart(files.shift(), names, ports_of(n, together), counts);
    };
    await Promise.all(Array.from({ length: together }, (_, n) => work(n)));
}

const { values: options, positionals: names } = parseArgs({
    allowPositionals: true,
    options: { counts: { type: "string" }, file: { type: "string" }, together: { type: "string", default: "2" } },
});
const counts = { ok: 0, FAILED: 0, skip: 0 };
if (options.file) {
    await run_file(options.file, names, counts);
    process.stdout.write(`${JSON.stringify(counts)}\n`, () => process.exit(0));
} else {
    await run_all(names, Number(options.together), counts);
    if (options.counts)
        writeFileSync(options.counts, `${counts.ok} ${counts.FAILED} ${counts.skip}\n`);
    console.log(`browser: ${counts.ok} passed, ${counts.FAILED} failed, ${counts.skip} skipped`);
    process.exit(counts.FAILED > 0 ? 1 : 0);
}
