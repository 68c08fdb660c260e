// The real program under the browser: `assay serve` in a folder of its own, fed over its own API.
//
//     const daemon = await start(context, { models: […] });
//     await daemon.post(events); await daemon.get("/models");
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const HOSTILE = "<img src=x onerror=alert(1)>";
export const MINUTE = 60_000, HOUR = 3_600_000;

const yaml = (value) => Object.entries(value).map(([key, part]) => `${key}: ${JSON.stringify(part)}\n`).join("");

export function program({ root, skip }) {
    const path = join(root, process.env.ASSAY_BUILD ?? "build", "cli", "assay");
    if (!existsSync(path)) skip(`no ${path}: run ./dev build`);
    return path;
}

// Reference data beside the source tree, as the stories take it too.
export function shared({ root, skip }, ...parts) {
    const folder = process.env.ASSAY_SHARED ?? join(root, "..", "shared");
    const path = join(folder, "reference", ...parts);
    if (!existsSync(path)) skip(`no ${path}: set ASSAY_SHARED`);
    return path;
}

export async function start(context, sections, { replay = [], token = null } = {}) {
    const { folder, free_port, at_end } = context, assay = program(context), port = await free_port();
    const config = join(folder, "assay.yaml");
    writeFileSync(config, yaml({ storage: { path: join(folder, "assay.db") }, ...sections, http: { listen: `127.0.0.1:${port}`, ...sections.http } }));
    const daemon = new Daemon({ assay, address: `http://127.0.0.1:${port}`, log: openSync(join(folder, "assay.log"), "a"), config, token });
    at_end(() => daemon.stop());
    if (replay.length) daemon.replay(...replay);
    await daemon.serve();
    return daemon;
}

class Daemon {
    constructor(parts) { Object.assign(this, parts); }

    async serve() {
        const from_disk = process.env.ASSAY_WEB_DIR ? ["--web-dir", process.env.ASSAY_WEB_DIR] : [];
        this.child = spawn(this.assay, ["serve", "-c", this.config, ...from_disk], { stdio: ["ignore", this.log, this.log] });
        this.ended = new Promise((resolve) => this.child.once("exit", resolve));
        await this.ready();
    }

    stop() {
        this.child?.kill("SIGTERM");
        return this.ended;
    }

    // Takes files of events in while no daemon serves.
    replay(...files) {
        const done = spawnSync(this.assay, ["replay", "-c", this.config, ...files], { encoding: "utf8" });
        assert.equal(done.status, 0, done.stderr);
    }

    async ready() {
        for (let i = 0; i < 1200; i++) {
            if (this.child.exitCode !== null) throw new Error(`assay serve ended with ${this.child.exitCode}`);
            try { if ((await fetch(`${this.address}/-/ready`)).ok) return; } catch { /* not listening yet */ }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        throw new Error("assay serve is not ready");
    }

    async ask(method, path, body) {
        const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
        const answer = await fetch(`${this.address}/api/v1${path}`, { method, headers, body });
        const text = await answer.text();
        assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
        return JSON.parse(text);
    }

    get(path) { return this.ask("GET", path); }
    command(path, body = {}) { return this.ask("POST", path, JSON.stringify(body)); }
    put(path, events) { return this.ask("PUT", path, lines(events)); }

    async post(events) {
        for (let i = 0; i < events.length; i += 20_000) {
            const { rejected } = await this.ask("POST", "/events", lines(events.slice(i, i + 20_000)));
            assert.deepEqual(rejected, []);
        }
    }
}

const lines = (events) => events.map((event) => JSON.stringify(event)).join("\n");

// Numbers that look random and are the same in each run.
export function random(seed) {
    let state = seed >>> 0;
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let z = Math.imul(state ^ (state >>> 15), state | 1);
        z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
        return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
    };
    next.normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    return next;
}

// Everything that the console or a dialog said; a test ends with `check()`.
export function strict(page, allowed = /^$/) {
    const trouble = [];
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && !allowed.test(m.text()) && trouble.push(m.text()));
    page.on("dialog", (dialog) => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    return () => assert.deepEqual(trouble, []);
}

export async function shot(page, name, options = {}) {
    if (!process.env.ASSAY_SCREENSHOTS) return;
    mkdirSync(process.env.ASSAY_SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(process.env.ASSAY_SCREENSHOTS, `${name}.png`), ...options });
}

export async function fits(page) {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${over} px too wide`);
}
