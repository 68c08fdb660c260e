// One model: its metrics over time, versions laid over each other by the clock or since
// their releases, slices and versions below. The URL holds range, window, segment, metrics, hidden versions and axis.
import { get, model_path, read_model, with_params } from "./api.js";
import { segment_of, spans_of } from "./alerts_list.js";
import { Chart, load_charts } from "./chart.js";
import { h, replace, settle } from "./dom.js";
import { SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { Happened, changes_of, shifts_of } from "./happened.js";
import { badge, state_of } from "./overview.js";
import { colour, dash } from "./palette.js";
import { change, href, read } from "./route.js";
import { save_csv, save_json } from "./save.js";
import { laid_over, releases_of } from "./since.js";
import { slices_table } from "./slices.js";
import { sortable } from "./sort.js";
import { model_head, quiet_range } from "./tabs.js";
import { by_clock, since_release } from "./time_axis.js";

const { MINUTE, HOUR, DAY } = format;
const ranges = ["1h", "6h", "24h", "3d", "7d", "30d", "90d"];
const windows = ["1m", "5m", "15m", "1h", "6h", "1d"];
const MAX_POINTS = 170, MOST_POINTS = 1500, MOST_AUDIT_ROWS = 5000;
const ended = { rollback: "rolled back", promote: "promoted" };

export const name = (parts) => parts[1];

const up = (ms, to) => Math.ceil(ms / to) * to;
const down = (ms, to) => Math.floor(ms / to) * to;

// What can be chosen, with what the address asks for: an alert's window may be any.
export const choices_of = (usual, asked) => (!asked || usual.includes(asked) ? usual : [...usual, asked]);

// Older data is only kept by the hour, then by the day: was the answer asked for in shorter windows?
export const is_too_fine = (answer) => answer.incomplete_reasons.some((reason) => reason.includes("ask for a longer window"));

// The step with which a window that was asked for ends where it ended when an alert looked: at any minute.
function ending({ from, to, window }, range, finest, auto) {
    const exact = windows.map(format.span_ms).filter((w) => w >= finest && w <= auto && Number(to) % w === 0 && range / w <= MOST_POINTS);
    return from && window ? exact.at(-1) ?? auto : auto;
}

// From the URL and the newest complete time to what the API is asked; by itself in no shorter windows than `finest`.
export function view_of(params, complete, finest = MINUTE) {
    const fixed = Number(params.from) > 0 && Number(params.to) > Number(params.from);
    const range = fixed ? Number(params.to) - Number(params.from) : (format.span_ms(params.range) ?? DAY);
    const auto = windows.map(format.span_ms).find((w) => w >= finest && range / w <= MAX_POINTS) ?? DAY;
    const window = format.span_ms(params.window) ?? auto;
    const step = Math.min(ending(params, range, finest, auto), window); // a longer window than the step rolls
    const end = up(fixed ? Number(params.to) : (complete ?? Date.now()) + 1, step);
    const to = fixed ? end : Math.max(end, window);
    const from = fixed ? down(Number(params.from), step) : Math.max(0, to - up(range, step));
    return { fixed, range, auto, window, step, from: Math.max(0, from - (window - step)), to, shown_from: from };
}

class Page {
    constructor(main, model, signal) {
        Object.assign(this, { main, model, signal, charts: new Map() });
        this.message = h("div", {});
        this.head = h("div", { class: "page-head" });
        this.controls = h("div", { class: "controls" });
        this.notes = h("div", { class: "notes", "aria-live": "polite" });
        this.happened = new Happened();
        this.grid = h("div", { class: "charts" });
        this.slices = h("section", { class: "block", "aria-label": "Slices" });
        this.versions = h("section", { class: "block", "aria-label": "Versions" });
        replace(main, this.head, this.message, this.controls, this.notes, this.happened.element, this.grid, this.slices, this.versions);
    }

    get params() { return read().params; }
    get since() { return this.params.axis === since_release.name; }
    get hidden() {
        const { hide, version } = this.params; // `version`: only that one, as alerts link to it
        if (version && !hide && this.model.versions.includes(version)) return new Set(this.model.versions.filter((v) => v !== version));
        return new Set((hide ?? "").split("\n").filter(Boolean));
    }

    metric_names() {
        const asked = split_names(this.params.metrics ?? this.params.metric);
        return asked.length ? asked : [...this.model.main_metrics].filter((m) => m !== "count").concat("count");
    }

    // What is known of the shown metrics before their labels come.
    estimate_names() {
        const shown = this.metric_names(), known = new Set(this.model.metrics.map((m) => m.name));
        return shown.map((name) => `estimated_${name}`).filter((name) => known.has(name) && !shown.includes(name));
    }

    async load() {
        const path = (rest) => model_path(this.model.name, rest);
        this.model = await read_model(this.model.name, this.signal);
        const [slices, versions] = await Promise.all([get(path("/slices"), {}, this.signal), get(path("/versions"), {}, this.signal)]);
        this.known_slices = slices.items;
        const place = ({ version }) => this.model.versions.indexOf(version);
        this.known_versions = versions.items.sort((a, b) => place(a) - place(b));
        this.draw_head();
        const answer = await this.load_metrics();
        this.draw_controls();
        await Promise.all([
            this.load_alerts(),
            this.load_steps(),
            this.load_changes(),
            slices_table(this.slices, this, this.signal),
        ]);
        this.draw_notes(answer);
        this.draw_charts(answer);
        this.draw_versions(answer);
        replace(this.message);
    }

    // In windows as short as the range allows and the data is still kept in.
    async load_metrics(finest = MINUTE) {
        this.view = view_of(this.since ? { ...this.params, from: "", to: "" } : this.params, this.model.complete_up_to, finest);
        const metrics = [...this.metric_names(), ...this.estimate_names()].join(","), { auto, step, window } = this.view;
        const answer = await (this.since ? this.ask_since(metrics) : this.ask(metrics));
        const coarser = this.params.window ? step < window : window < DAY;
        return is_too_fine(answer) && coarser ? this.load_metrics(auto + MINUTE) : answer;
    }

    ask(metrics, more = {}) {
        return get(model_path(this.model.name, "/metrics"), { ...this.query(metrics), ...more }, this.signal);
    }

    async ask_since(metrics) {
        const releases = releases_of(this.known_versions.filter((v) => !this.hidden.has(v.version)), this.view);
        if (!releases.length) return this.ask(metrics);
        const answers = await Promise.all(releases.map(({ version, from, to }) => this.ask(metrics, { version, from, to })));
        return laid_over(answers, releases);
    }

    // For a line of the size of a word over the range.
    coarse_window() {
        const { step, to, shown_from } = this.view;
        return windows.map(format.span_ms).find((w) => w >= step && (to - shown_from) / w <= 48) ?? DAY;
    }

    // When alerts fired for what is shown; without them the charts still stand.
    async load_alerts() {
        try {
            const { items } = await get("/api/v1/alerts/history", { limit: 1000 }, this.signal);
            const segment = this.params.segment ?? "";
            this.rules = levels_of((await get("/api/v1/alerts/rules", {}, this.signal)).items, this.model.name, segment);
            this.spans = spans_of(items.filter((e) => e.data.model === this.model.name && segment_of(e.data.segment) === segment));
        } catch (error) {
            if (error.name === "AbortError") throw error;
            this.spans = [];
            this.rules = [];
        }
    }

    // What people changed: the newest rows of the audit log; and what detectors found.
    async load_changes() {
        this.changes = [];
        try {
            let rows = [], after = -MOST_AUDIT_ROWS;
            while (after !== null) {
                const page = await get("/api/v1/audit", { after, limit: 1000 }, this.signal);
                rows = rows.concat(page.items);
                after = page.next;
            }
            const found = await get(model_path(this.model.name, "/changes"), { limit: 200 }, this.signal);
            this.changes = [...changes_of(rows, this.model.name), ...shifts_of(found.items)];
        } catch (error) {
            if (error.name === "AbortError") throw error;
        }
    }

    // When releases of this model changed the weight of a version.
    async load_steps() {
        this.steps = [];
        try {
            const { items } = await get("/api/v1/experiments", {}, this.signal);
            for (const e of items.filter((one) => one.model === this.model.name)) {
                const history = await get(`/api/v1/experiments/${encodeURIComponent(e.name)}/history`, {}, this.signal);
                for (const t of history.items.filter((one) => one.from.weight !== one.to.weight && one.at > this.view.from && one.at < this.view.to))
                    this.steps.push({ at: t.at, text: `${e.treatment} ${ended[t.verdict] ?? `${t.to.weight} %`}`, index: Math.max(0, this.model.versions.indexOf(e.treatment)), step: true, name: e.name, bad: t.verdict === "rollback" });
            }
        } catch (error) {
            if (error.name === "AbortError") throw error;
        }
    }

    query(metric) {
        const { from, to, window, step } = this.view;
        return { metric, version: "*", segment: this.params.segment, from, to, window: format.span_name(window), step: format.span_name(step) };
    }

    draw_head() {
        const m = this.model;
        settle(this.head,
            model_head(m, "", this.params, badge(state_of(m))),
            h("p", { class: "lead" }, m.task, m.task === "binary" ? `, positive ${m.positive}, threshold ${m.threshold}` : "", " · ",
                `${format.things(m.predictions, "prediction")}, ${format.things(m.labels, "label")}, ${format.count(m.pending)} pending`,
                m.duplicates ? `, ${format.things(m.duplicates, "duplicate")}` : "", m.rejected ? `, ${format.count(m.rejected)} refused` : "",
                " · complete up to ", h("time", { title: format.utc(m.complete_up_to) }, format.time(m.complete_up_to))));
    }

    draw_controls() {
        const p = this.params, v = this.view;
        const range_buttons = ranges.map((r) => h("button", { type: "button", id: `range-${r}`, "aria-pressed": String(!v.fixed && v.range === format.span_ms(r)), onclick: () => change({ range: r === "24h" ? "" : r, from: "", to: "" }) }, r));
        const option = (value, text, chosen) => h("option", { value, selected: value === chosen }, text);
        settle(this.controls,
            h("div", { class: "segmented", role: "group", "aria-label": "Range" }, range_buttons),
            this.choose_axis(),
            v.fixed ? h("button", { type: "button", class: "chip", title: "Back to the newest", onclick: () => change({ from: "", to: "" }) }, `${format.time(v.shown_from)} – ${format.time(v.to)} ✕`) : null,
            h("label", {}, "Window ", h("select", { id: "window", onchange: (e) => change({ window: e.target.value }) },
                option("", `auto (${format.span_name(v.auto)})`, p.window ?? ""), choices_of(windows, p.window).map((w) => option(w, w, p.window)))),
            this.known_slices.length ? h("label", {}, "Slice ", h("select", { id: "segment", onchange: (e) => change({ segment: e.target.value }) },
                option("", "everything", p.segment ?? ""), this.known_slices.map((s) => option(s.segment, `${s.key} = ${s.value}`, p.segment)))) : null,
            this.add_metric(option),
            h("div", { class: "legend", role: "group", "aria-label": "Versions" }, this.model.versions.map((version, i) => this.version_button(version, i))));
    }

    // Of one version there is nothing to lay over.
    choose_axis() {
        if (this.model.versions.length < 2 && !this.since) return null;
        const button = (axis, text, title) => h("button", { type: "button", id: `axis-${axis.name}`, title, "aria-pressed": String(this.since === (axis === since_release)), onclick: () => change({ axis: axis === by_clock ? "" : axis.name, from: "", to: "" }) }, text);
        return h("div", { class: "segmented", role: "group", "aria-label": "Time axis" }, button(by_clock, "by the clock", "When it happened"), button(since_release, "since release", "The versions over each other, each from the time it first served"));
    }

    add_metric(option) {
        const shown = new Set(this.metric_names());
        const others = this.model.metrics.map((m) => m.name).filter((n) => !/[={]$|_k$/.test(n) && !shown.has(n));
        return h("label", {}, h("span", { class: "unseen" }, "Add a metric "), h("select", { id: "add-metric", onchange: (e) => change({ metrics: [...this.metric_names(), e.target.value].join(",") }) },
            option("", "+ metric", ""), [...new Set(others)].map((n) => option(n, n, ""))));
    }

    version_button(version, i) {
        const is_hidden = this.hidden.has(version);
        const press = () => {
            const { hidden } = this;
            if (hidden.has(version)) hidden.delete(version);
            else hidden.add(version);
            change({ hide: [...hidden].join("\n"), version: "" });
        };
        return h("button", { type: "button", class: "version-button", id: `version-${i}`, "aria-pressed": String(!is_hidden), onclick: press, title: `${is_hidden ? "Show" : "Hide"} ${version}` },
            h("i", { class: "swatch", style: { "--ink": colour(i) }, "data-dash": dash(i).length ? "1" : "0" }), h("span", {}, version));
    }

    draw_notes(answer) {
        const v = this.view;
        replace(this.notes,
            answer.notice ? h("p", {}, answer.notice) : null,
            answer.complete ? null : h("p", { class: "bad" }, "Incomplete: ", answer.incomplete_reasons.join("; ")),
            this.since ? h("p", {}, `Each version's first ${format.span_name(v.range)}, counted from the window in which it first served; what happened and when is by the clock.`) : null,
            this.steps?.length && !this.since ? h("p", {}, "Dotted lines with ▸: steps of ", [...new Set(this.steps.map((s) => s.name))].map((name, i) => [i ? ", " : "", h("a", { href: href(["releases", name]) }, name)])) : null,
            v.step < v.window ? h("p", {}, `Rolling: each point covers ${format.span_name(v.window)}, one every ${format.span_name(v.step)}.`) : null,
            answer.series.some((s) => s.reference) ? h("p", {}, "Thin dots: what the labelled reference lets one expect before the labels come.") : null,
            this.about_labels(answer));
    }

    about_labels({ labels_complete_up_to: complete, waiting, matured }) {
        const when = (ms) => h("time", { title: format.utc(ms) }, format.time(ms)), few = "windows with few labels are not drawn.";
        if (waiting?.length) return h("p", {}, "Labels are complete up to ", when(matured), `; what ${waiting.join(", ")} did since may still move, and ${few}`);
        if (complete === null || complete >= this.view.to) return null;
        return h("p", {}, h("i", { class: "hatched", "aria-hidden": "true" }), " Labels are complete up to ", when(complete), `; what is hatched may still move, and ${few}`);
    }

    draw_charts(answer) {
        const names = this.metric_names();
        for (const [key, chart] of this.charts)
            if (!names.includes(key)) { chart.destroy(); chart.element.remove(); this.charts.delete(key); }
        const marks = this.known_versions.filter((v) => v.first_seen > this.view.from && v.first_seen < this.view.to && !this.hidden.has(v.version))
            .map((v) => ({ at: v.first_seen, text: v.version, index: this.model.versions.indexOf(v.version) }))
            .concat(this.steps);
        if (this.since) this.happened.update({ events: [], from: this.view.shown_from, to: this.view.to });
        else this.draw_happened(marks);
        for (const metric of names) {
            const found = answer.series.filter((s) => s.metric === metric);
            const row_of = (s) => ({ version: s.version, index: Math.max(0, this.model.versions.indexOf(s.version)), points: s.points });
            const rows = found.filter((s) => !this.hidden.has(s.version)).map(row_of)
                .filter((row) => row.points.some((p) => p.n > 0) || found.length === 1).sort((a, b) => a.index - b.index);
            const estimates = answer.series.filter((s) => s.metric === `estimated_${metric}` && !this.hidden.has(s.version)).map(row_of)
                .filter((row) => row.points.some((p) => p.value !== null));
            const concerns = ({ data }) => data.metric === metric && !this.hidden.has(data.version);
            const happened = this.since ? { marks: [], spans: [], axis: since_release } : { marks, spans: (this.spans ?? []).filter(concerns), axis: by_clock };
            this.chart_of(metric, found[0]).update({ rows, estimates, ...happened, rules: (this.rules ?? []).filter(concerns), complete: answer.complete_up_to, labels_complete: answer.labels_complete_up_to, window: answer.window });
        }
        names.forEach((metric) => this.grid.append(this.charts.get(metric).element));
    }

    draw_happened(marks) {
        const moments = marks.map((m) => ({ kind: m.step ? "step" : "deploy", at: m.at, to: null, text: m.step ? m.text : `${m.text} first served`, index: m.bad ? undefined : m.index, bad: m.bad }));
        const alerts = (this.spans ?? []).map((s) => ({ kind: "alert", at: s.from ?? this.view.shown_from, to: s.to ?? this.view.to, text: `${s.rule}${s.to === null ? ", still firing" : ""}`, bad: true }));
        this.happened.update({ events: [...moments, ...alerts, ...this.changes], from: this.view.shown_from, to: this.view.to });
    }

    chart_of(metric, series) {
        if (!this.charts.has(metric)) {
            const def = this.model.metrics.find((m) => m.name === metric);
            this.charts.set(metric, new Chart({ name: metric, unit: series?.unit, better: series?.better ?? "none", help: def?.help }, {
                group: "model",
                peers: () => this.charts.values(),
                on_cross: (ms) => this.happened.cross(ms),
                on_range: (from, to) => change(this.since ? { range: format.span_name(up(to, this.view.step)) } : { from: down(from, this.view.step), to: up(to, this.view.step) }),
                files: () => (this.since ? this.files_since(metric) : null),
                links: (form) => with_params(model_path(this.model.name, "/metrics"), { ...this.query(metric), format: form }),
            }));
        }
        return this.charts.get(metric);
    }

    // No one question to the API gives the versions since their releases: what is drawn is saved.
    files_since(metric) {
        const { rows } = this.charts.get(metric), name = `${this.model.name} ${metric} since release`;
        const points = rows.flatMap((row) => row.points.filter((p) => p.from !== null).map((p) => ({ version: row.version, ...p })));
        const keys = ["version", "start", "end", "from", "until", "n", "labelled", "value", "lower", "upper"];
        return { csv: () => save_csv(name, [keys, ...points.map((p) => keys.map((key) => p[key]))]), json: () => save_json(name, points) };
    }

    draw_versions(answer) {
        const first = this.since ? 0 : this.view.shown_from;
        const counted = (version) => answer.series.find((s) => s.metric === "count" && s.version === version)?.points
            .filter((p) => p.start >= first)
            .reduce((sum, p, i) => (i % (this.view.window / this.view.step) === 0 ? sum + p.n : sum), 0);
        const line = (v) => {
            const i = this.model.versions.indexOf(v.version), f = v.facts ?? {};
            const about = [f.framework, f.code_version, f.data_snapshot, f.artifact_uri, f.artifact_bytes === undefined ? null : format.bytes(f.artifact_bytes), f.notes].filter(Boolean);
            return h("tr", {},
                h("th", { scope: "row", "data-sort": v.version }, h("i", { class: "swatch", style: { "--ink": colour(i) }, "data-dash": dash(i).length ? "1" : "0" }), v.version),
                v.first_seen === null ? h("td", { colspan: "2" }, h("small", {}, "registered; it has not served yet"))
                    : [v.first_seen, v.last_seen].map((at) => h("td", { class: "when", "data-sort": at, title: format.utc(at) }, format.time(at))),
                h("td", { class: "number", "data-sort": counted(v.version) }, format.count(counted(v.version))),
                h("td", {}, about.length ? about.join(" · ") : h("small", {}, "register facts with PUT …/versions/", v.version)));
        };
        replace(this.versions, h("h2", {}, "Versions"), h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" },
            h("caption", { class: "unseen" }, "Versions of this model"),
            h("thead", {}, h("tr", {}, ["Version", "First seen", "Last seen", "Predictions in range", "Facts"].map((t, i) => h("th", { scope: "col", class: i === 3 ? "number" : null }, t)))),
            h("tbody", {}, this.known_versions.map(line)))));
        sortable(this.versions.querySelector("table"), "versions");
    }

    step_range(by) {
        const at = ranges.findIndex((r) => format.span_ms(r) === this.view.range);
        const next = ranges[Math.max(0, Math.min(ranges.length - 1, (at < 0 ? 2 : at) + by))];
        change({ range: next, from: "", to: "" });
    }
}

// The levels of rules on this model and slice, whether they ever fired or not.
function levels_of(rules, model, segment) {
    const mine = rules.filter((r) => r.metric && (r.model === null || r.model === model) && segment_of(r.segment) === segment);
    return mine.flatMap((r) => [r.above, r.below].filter((level) => level !== null)
        .map((level) => ({ rule: r.name, data: { metric: r.metric, version: r.version, level, relative: r.relative } })));
}

function split_names(text) {
    return (text ?? "").match(/[^,{]+(?:\{[^}]*\})?/g)?.map((n) => n.trim()).filter(Boolean) ?? [];
}

export async function open(main, { parts, signal }) {
    const page = new Page(main, { name: parts[1], versions: [], main_metrics: [], metrics: [] }, signal);
    replace(page.head, h("h1", {}, parts[1]));
    await load_charts();
    const mine = ({ models }) => !models || models.some((m) => m.model === parts[1]);
    const hears = (event) => {
        if (event.type === "open" || event.type === "alert") return SOON;
        return event.type === "window" && mine(event) && !page.view?.fixed ? SOON : null;
    };
    const repaint = (_, again) => { page.charts.forEach((c) => c.repaint()); page.happened.draw(); again(); };
    signal.addEventListener("abort", () => { page.happened.destroy(); page.charts.forEach((c) => c.destroy()); });
    await follow(signal, { load: () => page.load(), message: page.message, hears, on: { theme: repaint, "range-step": ({ detail }) => page.step_range(detail) } });
}
