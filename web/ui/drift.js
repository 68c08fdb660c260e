// Which inputs moved, and when? Features × time; a cell opens the two distributions. The URL holds
// range, window, version, slice, statistic, feature and the window that is open.
import { get, model_path, read_model, with_params } from "./api.js";
import { overlay, p_text, quantiles, rates, statistics } from "./distribution.js";
import { h, replace, settle } from "./dom.js";
import { SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { explain_part } from "./explain.js";
import { HeatMap } from "./heatmap.js";
import { choices_of, is_too_fine } from "./model.js";
import { change, read } from "./route.js";
import { save_buttons } from "./save.js";
import { failed } from "./states.js";
import { model_head, quiet_range } from "./tabs.js";

const ranges = ["6h", "24h", "3d", "7d", "30d", "90d"];
const windows = ["15m", "1h", "6h", "1d"];
const MAX_COLUMNS = 60, MIN_COLUMNS = 4;
const MANY = 15; // features: from there on a list is searched, not read
const ENOUGH = 100; // events in a window: of fewer, only a large change can be told from chance
const of_method = "threshold"; // the statistic that decides, in units of its threshold
const choices = [of_method, "psi", "js_distance", "hellinger", "ks", "wasserstein_norm", "chi2", "l_infinity", "mean_distance_norm", "missing_rate", "invalid_rate", "outside_rate", "unseen_rate"];
const MULTIVARIATE = "all features together";

export const name = (parts) => `${parts[1]}: drift`;

const up = (ms, to) => Math.ceil(ms / to) * to;
const down = (ms, to) => Math.floor(ms / to) * to;

// `at_least`: what the page found out about how long windows must be to hold enough.
function view_of(params, complete, at_least = 0) {
    const fixed = Number(params.from) > 0 && Number(params.to) > Number(params.from);
    const range = fixed ? Number(params.to) - Number(params.from) : (format.span_ms(params.range) ?? format.DAY);
    const fits = windows.map(format.span_ms).find((w) => range / w <= MAX_COLUMNS) ?? format.span_ms(windows.at(-1));
    const shortest = Math.max(fits, format.HOUR), auto = Math.max(shortest, at_least);
    const window = format.span_ms(params.window) ?? auto;
    const to = fixed ? up(Number(params.to), window) : up((complete ?? Date.now()) + 1, window);
    return { fixed, range, shortest, auto, window, to, from: Math.max(0, fixed ? down(Number(params.from), window) : to - up(range, window)) };
}

// How many events a window holds as a rule, of those that hold any; null: none does.
function usual_n(answer) {
    const points = answer.features[0]?.points ?? [], most = points.map((_, i) => Math.max(...answer.features.map((f) => f.points[i]?.n ?? 0)));
    const known = most.filter((n) => n > 0).sort((a, b) => a - b);
    return known.length ? known[Math.floor(known.length / 2)] : null;
}

// The window in which each holds enough, and is still kept; null: the present one will do, or none is better.
function better_window(answer, { range, window }) {
    const n = usual_n(answer), longer = windows.map(format.span_ms).filter((w) => w > window && range / w >= MIN_COLUMNS);
    if (is_too_fine(answer)) return longer[0] ?? null;
    if (n === null || n >= ENOUGH) return null;
    return longer.find((w) => n * (w / window) >= ENOUGH) ?? longer.at(-1) ?? null;
}

// What a point says of a statistic: {value, ratio}; ratio only where there is a threshold.
function reading(point, statistic) {
    if (!point || point.n === 0) return { value: null, ratio: null };
    if (statistic !== of_method) return { value: point[statistic] ?? null, ratio: null };
    return { value: point.effect, ratio: point.effect };
}

// "ks 0.18 is 2.9 × its threshold 0.0615"; a threshold of p: "chi2 12.3, p 0.002, is 2.1 × its threshold p 0.05".
function statistic_text(point) {
    const of_p = point.threshold_of === "p_value";
    const beyond = point.effect === null ? "" : ` is ${times(point.effect)} × its threshold ${of_p ? "p " : ""}${format.value(point.threshold, "number")}`;
    return `${point.method} ${format.value(point.statistic, "number")}${of_p ? `, p ${p_text(point.p_value)},` : ""}${beyond}`;
}

const times = (ratio) => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(ratio < 1 ? 2 : 1));

// Classes of colour: of the threshold, half, one, twice, four times; else fifths of the largest.
const cuts = [0.5, 1, 2, 4];
const level_of = (value, most, by_threshold) => (value === null ? null : (by_threshold ? cuts : [0.2, 0.4, 0.6, 0.8].map((c) => c * most)).filter((c) => value >= c).length);

const domain_text = (d) => (d.auc === null ? `no domain classifier: ${d.why}` : `domain classifier: area ${format.value(d.auc, "number")}${d.threshold === null ? "" : `, threshold ${format.value(d.threshold, "number")}, ${d.drifted ? "drifted" : "not drifted"}`}`);
// Of all features together; a segment has numbers and no threshold.
const error_text = (p) => (p.reconstruction_error === null ? "no value" : `reconstruction error ${format.value(p.reconstruction_error, "number")}`);
const not_judged = (p) => (p.threshold === null && p.why ? `${error_text(p)}; ${domain_text(p.domain_classifier)}; not judged: ${p.why}` : null);

function words(point, statistic) {
    if (!point || point.n === 0) return "no value in this window";
    const parts = [];
    if (statistic !== of_method) parts.push(`${statistic} ${format.value(point[statistic] ?? null, "number")}`);
    if (point.statistic !== null && point.method) parts.push(statistic_text(point));
    parts.push(point.drifted ? "drifted" : point.why ? `not judged: ${point.why}` : "not drifted", `n ${format.count(point.n)}`);
    return parts.join(", ");
}

class Page {
    constructor(main, model_name, signal) {
        Object.assign(this, { model_name, signal, log: false });
        this.head = h("div", { class: "page-head" });
        this.message = h("div", {});
        this.controls = h("div", { class: "controls" });
        this.notes = h("div", { class: "notes", "aria-live": "polite" });
        this.heat = new HeatMap({ name: `drift of ${model_name}`, on_open: (row, start) => this.choose(row, start) });
        // Kept over all drawings, so that nothing is lost of what is being typed.
        this.find = h("input", { type: "search", id: "find", placeholder: "part of a name", oninput: () => this.draw(), onchange: () => change({ find: this.wanted }) });
        this.finder = h("label", {}, "Find ", this.find);
        this.map = h("section", { class: "block", "aria-label": "Drift by feature and time" });
        this.detail = h("div", { class: "detail" });
        this.explained = h("div", {});
        replace(main, this.head, this.message, this.controls, this.notes, this.map, this.detail);
    }

    get params() { return read().params; }
    get statistic() { return choices.includes(this.params.statistic) ? this.params.statistic : of_method; }
    get wanted() { return this.find.value.trim().toLowerCase(); }
    path(rest) { return model_path(this.model_name, rest); }

    question() {
        const { from, to, window } = this.view, { version, segment } = this.params;
        return { version, segment, from, to, window: format.span_name(window) };
    }

    async load() {
        const { signal } = this;
        const [model, slices] = await Promise.all([read_model(this.model_name, signal), get(this.path("/slices"), {}, signal)]);
        Object.assign(this, { model, slices: slices.items });
        this.draw_head();
        await this.load_drift();
        this.draw_controls();
        replace(this.message);
        this.draw();
        await this.load_detail();
    }

    // In longer windows than the range allows where those hold too little, unless a window was chosen.
    async load_drift() {
        const { range, from, to, window, version, segment } = this.params, complete = this.model.complete_up_to;
        const chosen = JSON.stringify([range, from, to, window, version, segment]);
        if (this.chosen !== chosen) Object.assign(this, { chosen, at_least: 0, thin: null });
        this.view = view_of(this.params, complete, this.at_least);
        const asked = JSON.stringify([this.question(), complete]);
        if (this.asked === asked) return;
        this.answer = await get(this.path("/drift"), this.question(), this.signal);
        this.asked = asked;
        const better = better_window(this.answer, this.view);
        if (better && !window) {
            this.thin = { n: usual_n(this.answer), window: this.view.window, old: is_too_fine(this.answer) };
            this.at_least = better;
            await this.load_drift();
        } else {
            this.better = better;
        }
    }

    // What was done, or can be done, about windows that hold too little.
    about_windows() {
        const { thin, better, view } = this, n = usual_n(this.answer), use = (ms, text) => h("button", { type: "button", class: "chip", id: "use-window", onclick: () => change({ window: format.span_name(ms), at: "" }) }, text);
        if (thin && view.window > thin.window)
            return h("p", {}, thin.old ? `Windows of ${format.span_name(view.window)}: shorter ones of that time are not kept any more.` : `Windows of ${format.span_name(view.window)}: those of ${format.span_name(thin.window)} hold about ${format.count(thin.n)} events each, too few to tell a change from chance. `,
                thin.old ? null : use(thin.window, `Show ${format.span_name(thin.window)} anyway`));
        if (n === null || n >= ENOUGH) return null;
        return h("p", { class: "warn-text" }, `A window holds about ${format.count(n)} events: only a large change can be told from chance. `, better ? use(better, `Use ${format.span_name(better)}`) : "Choose a longer range, or a longer window.");
    }

    draw_head() {
        settle(this.head, model_head(this.model, "drift", this.params));
    }

    draw_controls() {
        const p = this.params, v = this.view;
        const option = (value, text, chosen) => h("option", { value, selected: value === (chosen ?? "") }, text);
        const select = (id, label, key, options) => h("label", {}, `${label} `, h("select", { id, onchange: (e) => change({ [key]: e.target.value }) }, options));
        settle(this.controls,
            h("div", { class: "segmented", role: "group", "aria-label": "Range" }, ranges.map((r) => h("button", { type: "button", id: `range-${r}`, "aria-pressed": String(!v.fixed && v.range === format.span_ms(r)), onclick: () => change({ range: r === "24h" ? "" : r, from: "", to: "", at: "" }) }, r))),
            v.fixed ? h("button", { type: "button", class: "chip", title: "Back to the newest", onclick: () => change({ from: "", to: "" }) }, `${format.time(v.from)} – ${format.time(v.to)} ✕`) : null,
            select("window", "Window", "window", [option("", `auto (${format.span_name(v.auto)})`, p.window), choices_of(windows, p.window).map((w) => option(w, w, p.window))]),
            select("statistic", "Colour", "statistic", choices.map((s) => option(s === of_method ? "" : s, s === of_method ? "statistic ÷ threshold" : s, p.statistic))),
            this.model.versions.length > 1 || p.version ? select("version", "Version", "version", [option("", "all together", p.version), this.model.versions.map((s) => option(s, s, p.version))]) : null,
            this.slices.length ? select("segment", "Slice", "segment", [option("", "everything", p.segment), this.slices.map((s) => option(s.segment, `${s.key} = ${s.value}`, p.segment))]) : null,
            this.answer.features.length >= MANY || p.find ? this.finder : null);
        if (document.activeElement !== this.find) this.find.value = p.find ?? "";
    }

    // The features, the one that is worst now first.
    ranked() {
        const { statistic } = this, last = (f) => f.points.findLast((p) => p.n > 0);
        const worth = (f) => { const p = last(f); return p ? reading(p, statistic).value ?? -1 : -2; };
        return [...this.answer.features].sort((a, b) => Number(last(b)?.drifted ?? false) - Number(last(a)?.drifted ?? false) || worth(b) - worth(a) || (a.feature < b.feature ? -1 : 1));
    }

    draw() {
        const { answer, statistic } = this, by_threshold = statistic === of_method;
        const features = this.ranked(), columns = (features[0]?.points ?? []).map((p) => ({ start: p.start, end: p.end }));
        const any = features.some((f) => f.points.some((p) => p.n > 0));
        replace(this.notes, answer.complete ? null : h("p", { class: "bad" }, "Incomplete: ", answer.incomplete_reasons.join("; ")),
            answer.notice ? h("p", {}, answer.notice) : null, this.about_windows(), this.about_reference());
        if (!any) {
            this.map.className = "";
            replace(this.map, quiet_range(this.model, this.view));
            this.shown = null;
            return;
        }
        this.map.className = "block";
        const most = Math.max(1e-12, ...features.flatMap((f) => f.points.map((p) => reading(p, statistic).value ?? 0)));
        const row_of = (f) => {
            const last = f.points.findLast((p) => p.n > 0), { value } = reading(last, statistic);
            return { name: f.feature, kind: f.kind, feature: f, note: value === null ? "–" : by_threshold ? `${times(value)} ×` : format.value(value, /_rate$/.test(statistic) ? "percent" : "number"),
                cells: f.points.map((p) => {
                    const now = reading(p, statistic).value;
                    return { level: level_of(now, most, by_threshold), empty: now === null, mark: p.drifted, text: words(p, statistic) };
                }) };
        };
        const { wanted } = this, rows = features.filter((f) => f.feature.toLowerCase().includes(wanted)).map(row_of);
        if (wanted) this.notes.append(h("p", {}, rows.length ? `${rows.length} of ${features.length} features have “${wanted}” in their name.` : `None of ${features.length} features has “${wanted}” in its name.`));
        if (answer.multivariate.length && !wanted) rows.push(this.multivariate_row(columns));
        this.shown = this.selected(features);
        if (!this.map.contains(this.heat.element)) replace(this.map, h("div", { class: "block-head" }), this.heat.element, h("div", { class: "heat-legend" }));
        this.heat.update({ rows, columns, chosen: this.shown && { row: this.shown.name, start: this.shown.start }, title: `Drift of ${this.model_name} by feature and window` });
        this.draw_around(features, rows, by_threshold, most);
    }

    draw_around(features, rows, by_threshold, most) {
        const last = features.flatMap((f) => f.points.filter((p) => p.n > 0)).reduce((a, p) => Math.max(a, p.start), 0);
        const judged = features.map((f) => f.points.find((p) => p.start === last)).filter((p) => p && p.n > 0 && p.statistic !== null);
        const text = (v) => (by_threshold ? `${v} ×` : format.value(v, "number"));
        const marks = by_threshold ? cuts : [0.2, 0.4, 0.6, 0.8].map((c) => c * most);
        replace(this.map.querySelector(".block-head"), h("h2", {}, "Features × time"),
            h("p", { class: "left" }, judged.length ? [h("b", {}, `${judged.filter((p) => p.drifted).length} of ${judged.length}`), ` drifted in the newest window, ${format.time(last)} – ${format.clock_time(last + this.view.window)}`] : "the newest window was not judged"),
            h("div", { class: "chart-tools" },
                save_buttons(`drift of ${this.model_name}`, { csv: () => this.csv(), png: () => this.heat.save() }),
                h("a", { class: "quiet", download: `${this.model_name} drift.json`, href: with_params(this.path("/drift"), this.question()) }, "JSON")));
        replace(this.map.querySelector(".heat-legend"), h("span", {}, "as the reference"),
            h("span", { class: "scale", "aria-hidden": "true" }, [0, 1, 2, 3, 4].map((l) => h("i", { "data-level": String(l) }, l ? h("span", {}, text(marks[l - 1])) : null))),
            h("span", {}, "moved"), h("span", {}, h("i", { class: "diamond", "aria-hidden": "true" }), " judged as drifted (false alarms held down over all features)"), h("span", {}, h("i", { class: "void", "aria-hidden": "true" }), " no value"),
            h("span", { class: "n" }, "arrow keys walk, Enter opens a cell"));
    }

    csv() {
        const keys = Object.keys(this.answer.features[0].points[0]).filter((k) => k !== "invalid");
        return [["feature", "kind", ...keys], ...this.answer.features.flatMap((f) => f.points.map((p) => [f.feature, f.kind, ...keys.map((k) => p[k])]))];
    }

    multivariate_row(columns) {
        const at = new Map(this.answer.multivariate.map((p) => [p.start, p]));
        const ratio = (p) => (p && p.reconstruction_error !== null && p.threshold > 0 ? p.reconstruction_error / p.threshold : null);
        const last = this.answer.multivariate.findLast((p) => ratio(p) !== null);
        return { name: MULTIVARIATE, kind: "multivariate", total: true, note: last ? `${times(ratio(last))} ×` : "–", cells: columns.map((c) => {
            const p = at.get(c.start), now = ratio(p);
            return { level: level_of(now, 1, true), empty: now === null, mark: p?.drifted || p?.domain_classifier.drifted, text: now === null ? (p && not_judged(p)) ?? "no value in this window" : `reconstruction error ${format.value(p.reconstruction_error, "number")}, ${times(now)} × its threshold, ${p.drifted ? "drifted" : "not drifted"}; ${domain_text(p.domain_classifier)}` };
        }) };
    }

    about_reference() {
        const r = this.answer.reference;
        const { references, reference_why } = this.answer;
        if (!r && reference_why) return h("p", { class: "warn-text" }, this.answer.segment ? `${this.answer.segment} is compared with nothing: ${reference_why}. A segment is compared with itself only, never with all events.` : `There is nothing to compare with: ${reference_why}.`, " Rates of missing and invalid values are shown meanwhile.");
        if (references) return h("p", {}, `Each window is compared with its own hours ${r?.rhythm === "day" ? "of the days" : "of the weeks"} before`, r ? [", the newest with ", h("code", {}, r.id), `, ${format.count(r.n)} events`] : null, ".");
        if (!r) return h("p", { class: "warn-text" }, "There is no reference to compare with: put ", h("code", {}, "reference: {file: …}"), " into the model's configuration, or run ", h("code", {}, `assay reference load -c assay.yaml --model ${this.model_name} EVENTS.jsonl`), ". Rates of missing and invalid values are shown meanwhile.");
        const from = { file: "from a file", api: "set by the API", version: "another version", trailing: "what went before", range: "a range of time" }[r.source] ?? r.source;
        return h("p", {}, "Compared with reference ", h("code", {}, r.id), `, ${r.segment ? `its ${format.count(r.n)} events of ${r.segment}` : `${format.count(r.n)} events`}, ${from}`, r.created ? [", since ", h("time", { title: format.utc(r.created) }, format.time(r.created))] : null, ".");
    }

    // The cell of the URL; else the worst feature's newest window, so that the page says something.
    selected(features) {
        const { feature, at } = this.params;
        if (feature === MULTIVARIATE && this.answer.multivariate.length) return { name: MULTIVARIATE, start: Number(at) };
        const found = features.find((f) => f.feature === feature) ?? features[0];
        const point = found.points.find((p) => p.start === Number(at)) ?? (feature && at ? null : found.points.findLast((p) => p.n > 0)) ?? found.points.at(-1);
        return { name: found.feature, feature: found, point, start: point.start };
    }

    choose(row, start) { change({ feature: row.name, at: start, from: this.view.from, to: this.view.to }); }

    async load_detail() {
        const { shown } = this;
        if (!shown) { replace(this.detail); return; }
        if (shown.name === MULTIVARIATE) { this.draw_multivariate(shown.start); return; }
        const { point } = shown, { version, segment } = this.params;
        const d = await get(this.path("/distribution"), { feature: shown.name, version, segment, from: point.start, to: point.end }, this.signal);
        this.draw_detail(d);
        await this.load_explanation(point);
    }

    // Which slices pulled in that window; the distributions stand without it.
    async load_explanation(point) {
        const { version, segment } = this.params;
        let part = null;
        if (point.n > 0) {
            try {
                const x = await get(this.path("/explain"), { version, segment, from: point.start, to: point.end, limit: 8 }, this.signal);
                part = explain_part(x, this.model.metrics.find((m) => m.name === x.metric)?.unit);
            } catch (error) {
                if (error.name === "AbortError") throw error;
                if (error.status >= 500 || error.status === 0) part = failed(error, () => this.load_explanation(point));
            }
        }
        if (this.shown?.point === point) replace(this.explained, part);
    }

    draw_detail(d) {
        const { shown } = this, { point } = shown, focus = document.activeElement?.id;
        const verdict = point.n === 0 ? ["idle", "no value"] : point.drifted ? ["bad", "drifted"] : point.threshold === null ? ["idle", "not judged"] : ["good", "as the reference"];
        const said = point.n > 0 && point.statistic !== null && point.method ? `${statistic_text(point)}${point.q_value !== null ? `, q ${p_text(point.q_value)}` : ""}${point.why ? `; not judged: ${point.why}` : ""}` : point.why ?? "";
        const table = quantiles(d);
        const log = () => { this.log = !this.log; this.draw_detail(d); document.getElementById("log-y")?.focus(); };
        replace(this.detail,
            h("div", { class: "part-head detail-head" }, h("h2", {}, shown.name, h("small", {}, ` ${d.kind}`)), h("span", { class: `badge ${verdict[0]}` }, h("i", { "aria-hidden": "true" }), verdict[1]),
                h("p", {}, h("time", { title: `${format.utc(point.start)} to ${format.utc(point.end)}` }, `${format.time(point.start)} – ${point.end - point.start >= format.DAY ? format.time(point.end) : format.clock_time(point.end)}`), said ? ` · ${said}` : "", point.error_bound > 0 ? ` · statistics within ± ${format.value(point.error_bound, "number")}` : "")),
            h("div", { class: "detail-grid" }, h("div", { class: "part" }, overlay(d, { log: this.log, on_log: log }), table ? statistics(point) : null), h("div", { class: "part" }, table, rates(d, point), table ? null : statistics(point))), this.explained);
        if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    }

    draw_multivariate(start) {
        const p = this.answer.multivariate.find((m) => m.start === start) ?? this.answer.multivariate.at(-1);
        const badge = p.drifted || p.domain_classifier.drifted ? ["bad", "drifted"] : p.n === 0 ? ["idle", "no value"] : p.threshold === null ? ["idle", "not judged"] : ["good", "as the reference"];
        replace(this.detail, h("section", { class: "block", "aria-label": "All features together" }, h("div", { class: "block-head" }, h("h2", {}, "All features together"),
            h("span", { class: `badge ${badge[0]}` }, h("i", { "aria-hidden": "true" }), badge[1])),
            h("p", { class: "what" }, "How badly a window is rebuilt from the main directions of the reference: it rises when features move in step otherwise than before, though each alone may look as ever. The area of the domain classifier says how well the window's events can be told from the reference's: 0.5 is not at all, 1 is every one."),
            h("p", {}, h("time", { title: format.utc(p.start) }, format.time(p.start)), `: ${not_judged(p) ?? `${error_text(p)}, threshold ${format.value(p.threshold, "number")}; ${domain_text(p.domain_classifier)}`}`)));
    }

    step_range(by) {
        const at = ranges.findIndex((r) => format.span_ms(r) === this.view.range);
        change({ range: ranges[Math.max(0, Math.min(ranges.length - 1, (at < 0 ? 1 : at) + by))], from: "", to: "", at: "" });
    }
}

export async function open(main, { parts, signal }) {
    const page = new Page(main, parts[1], signal);
    replace(page.head, h("h1", {}, parts[1]));
    const hears = ({ type }) => (type === "open" || (type === "window" && !page.view?.fixed) ? SOON : null);
    const on = { theme: (_, again) => again(), "range-step": ({ detail }) => page.view && page.step_range(detail) };
    await follow(signal, { load: () => page.load(), message: page.message, hears, on });
}
