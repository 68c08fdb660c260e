// One release: what is decided and why, how it got there, and what people may do about it.
import { get, send, session } from "./api.js";
import { h, replace, settle } from "./dom.js";
import { NOW, SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { ReleaseCharts } from "./release_charts.js";
import { bayes_part, forest_table, held_since, history_part, known, model_line, split_part, state_badge } from "./release_parts.js";
import { href } from "./route.js";

export const name = (parts) => `${parts[1]}: release`;

// What each command does, in the words of its dialog. `at`: in which states it is offered.
const commands = [
    { word: "start", title: "Start", at: ["draft"], primary: true, what: (e) => `${e.treatment} gets ${e.steps[0].weight} % of the traffic.` },
    { word: "approve", title: "Approve", at: ["running", "paused"], primary: true, when: (e) => waits_for_approval(e) !== null, what: (e) => `The step of ${e.steps[waits_for_approval(e)].weight} % may be entered once its evidence is there.` },
    { word: "resume", title: "Resume", at: ["paused"], primary: true, what: (e) => `The engine decides again; ${e.treatment} stays at ${e.weight} % until it does.` },
    { word: "pause", title: "Pause", at: ["running"], what: (e) => `${e.treatment} stays at ${e.weight} %. The engine goes no further up, but still rolls back when harm is shown.` },
    { word: "freeze", title: "Freeze", at: ["running", "paused"], when: (e) => !e.frozen, what: (e) => `${e.treatment} stays at ${e.weight} % and the engine does nothing at all, not even roll back, until somebody resumes.` },
    { word: "jump", title: "Jump …", at: ["running", "paused"], step: true, what: (e) => `${e.treatment} gets the chosen share at once, without the evidence that the engine would wait for.` },
    { word: "promote", title: "Promote", at: ["running", "paused"], what: (e) => `Everybody is served ${e.treatment}, and the release is over. This cannot be taken back here.` },
    { word: "rollback", title: "Roll back", at: ["draft", "running", "paused"], danger: true, what: (e) => `Everybody is served ${e.control} at once, and the release is over. This cannot be taken back here.` },
];

// The step that asks for a person and has none yet; null: none.
function waits_for_approval(e) {
    const found = e.steps.findIndex((step, i) => step.approval && i > e.step && i > e.approved);
    return found < 0 ? null : found;
}

const random_id = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

// What is still missing before the next step, in the order of docs/abtest.md.
function missing(e, verdict, model) {
    const step = e.steps[e.step], items = [], now = model?.complete_up_to ?? verdict.decided_at;
    const since = e.since, age = Math.max(0, now - since), left = format_ms(step.min_duration) - age;
    const done = (ok, text, why) => items.push({ ok, text, why });
    done(left <= 0, left > 0 ? `${format.duration(left)} more in this step` : `${format.duration(age)} in this step`, "min_duration, in event time");
    if (step.min_units) done(verdict.units.treatment >= step.min_units, `${format.count(verdict.units.treatment)} of ${format.count(step.min_units)} units`, "min_units of the treatment");
    const open = verdict.metrics.filter((m) => m.role !== "monitor" && !["non_inferior", "superior"].includes(m.status));
    const units = verdict.units.control + verdict.units.treatment, rate = age > 0 ? units / age : 0;
    for (const m of open.filter((o) => o.role === "guardrail" || e.step === e.steps.length - 1)) {
        const time = rate > 0 && m.samples_needed > 0 ? m.samples_needed / rate : null;
        done(false, known(m.samples_needed) && m.samples_needed > 0 ? `${m.metric}: about ${format.count(m.samples_needed)} more units${time ? `, ${format.duration(time)} at this rate` : ""}` : `${m.metric}: ${m.why ?? (m.status === "harmed" ? "harmed" : "cannot be told how long; the data point the other way, or are too few")}`, "until it is shown to be within its margin, at the present effect");
    }
    const approval = waits_for_approval(e);
    if (approval !== null && approval === e.step + 1) done(false, "somebody approves the next step", "approval: true");
    return { items, wait: expected(open, rate, left) };
}

function expected(open, rate, left) {
    const needs = open.filter((m) => m.role === "guardrail").map((m) => (known(m.samples_needed) && rate > 0 ? m.samples_needed / rate : Infinity));
    return Math.max(0, left, ...needs);
}

const format_ms = (text) => {
    if (typeof text === "number") return text;
    const found = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text ?? "0ms");
    return found ? Number(found[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[found[2]] : 0;
};

class Page {
    constructor(main, experiment_name, signal) {
        Object.assign(this, { name: experiment_name, signal, opened: new Set() });
        this.path = `/api/v1/experiments/${encodeURIComponent(experiment_name)}`;
        this.head = h("div", { class: "page-head" });
        this.message = h("div", {});
        this.banner = h("div", {});
        this.actions = h("div", { class: "actions release-actions", role: "group", "aria-label": "Operate" });
        this.charts = new ReleaseCharts();
        this.now = h("div", { class: "part" });
        this.history = h("div", { class: "part" });
        this.dialog = h("dialog", { "aria-labelledby": "order-title" });
        replace(main, this.head, this.message, this.banner, this.actions, this.charts.element, this.now, this.history, this.dialog);
        this.charts.element.hidden = true;
    }

    async load() {
        const { signal } = this;
        const [experiment, history, looks, who] = await Promise.all([get(this.path, {}, signal), get(`${this.path}/history`, {}, signal), this.read_looks(), session(signal)]);
        let model = null; // before its first event the model may be unknown
        try { model = await get(`/api/v1/models/${encodeURIComponent(experiment.model)}`, {}, signal); } catch (error) { if (error.name === "AbortError") throw error; }
        Object.assign(this, { experiment, who, transitions: history.items, looks, model });
        replace(this.message);
        this.draw();
    }

    // Only what is newer than what is here already.
    async read_looks() {
        const made = this.looks ?? [];
        let after = made.at(-1)?.at;
        for (;;) {
            const { items, next } = await get(`${this.path}/looks`, { after, limit: 5000 }, this.signal);
            made.push(...items.filter((l) => l.at > (made.at(-1)?.at ?? -1)));
            if (next === null) return made;
            after = next;
        }
    }

    draw() {
        const { experiment: e, transitions, looks, model } = this, verdict = e.verdict;
        replace(this.head, h("h1", {}, e.name), state_badge(e), e.applying ? h("span", { class: "badge warn" }, h("i", { "aria-hidden": "true" }), "being applied") : null,
            h("p", { class: "lead" }, model_line(e), ` · ${e.weight} % treatment since `, h("time", { title: format.utc(e.since) }, format.time(e.since)), ` · alpha ${e.alpha}`,
                e.holdback ? ` · ${e.holdback} % held back` : "", " · ", h("a", { href: href(["models", e.model, "compare"]) }, "Compare the versions")));
        this.draw_banner(e, verdict, model, held_since(transitions));
        this.draw_actions(e);
        const measured = verdict && verdict.metrics;
        this.charts.element.hidden = !transitions.length;
        if (transitions.length) this.charts.update({ experiment: e, looks, transitions });
        const focus = this.now.contains(document.activeElement) ? document.activeElement : null, at = focus ? [...this.now.querySelectorAll("[tabindex]")].indexOf(focus) : -1;
        replace(this.now, measured ? [forest_table(e, verdict), h("div", { class: "pair" }, split_part(e, verdict, looks.at(-1)?.weight ?? e.weight), bayes_part(verdict))] : null);
        if (at >= 0) this.now.querySelectorAll("[tabindex]")[at]?.focus({ preventScroll: true });
        if (this.drawn_seq !== e.seq) replace(this.history, history_part(e, transitions, this.opened));
        this.drawn_seq = e.seq;
    }

    draw_banner(e, verdict, model, held) {
        const final = ["promoted", "rolled_back"].includes(e.state);
        if (!verdict?.verdict) {
            replace(this.banner, h("section", { class: "message" }, h("h2", {}, e.state === "draft" ? "Not started" : "No decision yet"), h("p", {}, e.state === "draft" ? "Nobody is served the treatment. Start it below, when callers ask for assignments." : "The first look comes with the first second of events of both versions.")));
            return;
        }
        const level = { rollback: "bad", hold: "warn", promote: "good", advance: "good" }[verdict.verdict] ?? "info";
        const found = verdict.detected_after && e.state === "rolled_back" && verdict.metrics?.length ? `after ${format.count(verdict.detected_after.units)} treatment units and ${format.duration(verdict.detected_after.ms)} in the step` : "";
        const need = !final && verdict.metrics?.length ? missing(e, verdict, model) : null;
        const next = e.step + 1 < e.steps.length ? `${e.steps[e.step + 1].weight} %` : "promotion";
        replace(this.banner, h("section", { class: "verdict-banner", "data-tone": level, role: "status" },
            h("p", { class: "verdict-line" }, h("b", {}, { continue: "goes on", hold: held === null ? "held" : `held since ${format.time(held)}`, rollback: "rolled back", promote: "promoted", advance: "next step" }[verdict.verdict] ?? verdict.verdict), verdict.reason ? `: ${verdict.reason}` : "", found ? `, ${found}` : "",
                h("span", { class: "range" }, " ", h("time", { title: format.utc(verdict.decided_at) }, format.time(verdict.decided_at)), verdict.decided_by ? ` by ${verdict.decided_by}` : "")),
            need ? h("div", { class: "needs" }, h("span", {}, h("b", {}, `To ${next}`), need.wait > 0 && Number.isFinite(need.wait) ? `: about ${format.duration(need.wait)} more` : ":"), h("ul", {}, need.items.map((item) => h("li", { class: item.ok ? "done" : "open", title: item.why }, h("i", { "aria-hidden": "true" }), h("span", { class: "unseen" }, item.ok ? "done: " : "open: "), item.text)))) : null));
    }

    draw_actions(e) {
        const may = this.who.scopes.includes("operate");
        const offered = commands.filter((c) => c.at.includes(e.state) && (!c.when || c.when(e)));
        settle(this.actions, offered.map((c) => h("button", { type: "button", id: `do-${c.word}`, class: c.primary ? "primary" : c.danger ? "danger" : null, disabled: !may, onclick: () => this.ask(c) }, c.title)),
            may || !offered.length ? null : h("span", { class: "n" }, "Your token may only read; operating needs the scope operate."));
    }

    ask(command) {
        const e = this.experiment, said = h("div", {}), id = random_id();
        const why = h("input", { id: "order-reason", type: "text", maxlength: "1000", required: true, autocomplete: "off" });
        const step = command.step ? h("select", { id: "order-step" }, e.steps.map((s, i) => h("option", { value: String(i), selected: i === e.step + 1 }, `step ${i + 1}: ${s.weight} %${i === e.step ? " (now)" : ""}`))) : null;
        const go = h("button", { type: "submit", class: command.danger ? "danger" : "primary" }, command.title.replace(" …", ""));
        const submit = async (event) => {
            event.preventDefault();
            if (!why.value.trim()) { replace(said, h("p", { class: "bad", role: "alert" }, "Say why: it goes into the audit log.")); return; }
            go.disabled = true;
            try {
                await send("POST", `${this.path}/${command.word}`, { reason: why.value.trim(), id, ...(step ? { step: Number(step.value) } : {}) });
                this.dialog.close();
                await this.load();
            } catch (error) {
                replace(said, h("p", { class: "bad", role: "alert" }, error.message));
            } finally {
                go.disabled = false;
            }
        };
        replace(this.dialog, h("h2", { id: "order-title" }, `${command.title.replace(" …", "")} ${e.name}`),
            h("form", { onsubmit: submit, class: "form", novalidate: true }, h("p", { class: "what" }, command.what(e)),
                step ? [h("label", { for: "order-step" }, "To"), step] : null,
                h("label", { for: "order-reason" }, "Reason (goes into the audit log, with the name of your token)"), why, said,
                h("div", { class: "actions" }, go, h("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel"))));
        this.dialog.showModal();
        why.focus();
    }
}

export async function open(main, { parts, signal }) {
    const page = new Page(main, parts[1], signal);
    replace(page.head, h("h1", {}, parts[1]));
    const hears = ({ type }) => {
        if (type === "transition" || type === "open") return NOW;
        return type === "window" && !["promoted", "rolled_back"].includes(page.experiment?.state) ? SOON : null;
    };
    signal.addEventListener("abort", () => page.charts.destroy());
    await follow(signal, { load: () => page.load(), message: page.message, hears, on: { theme: () => page.experiment && page.draw() } });
}
