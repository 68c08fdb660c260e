// Every model in a line: is it fed, does it answer well, fast and without errors?
import { get, in_parallel, model_path } from "./api.js";
import { segment_of, severities, severity_badge } from "./alerts_list.js";
import { attention } from "./attention.js";
import { needs_labels } from "./chart.js";
import { h, redraw, replace } from "./dom.js";
import { SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { is_held, release_link, worth_telling } from "./release_parts.js";
import { href } from "./route.js";
import { save_buttons, save_svgs } from "./save.js";
import { sortable } from "./sort.js";
import { spark } from "./spark.js";
import { nothing_yet } from "./states.js";

const quality_of = { binary: "roc_auc", multiclass: "accuracy", regression: "rmse", ranking: "ndcg_10", segmentation: "mean_iou" };
const SILENT_MS = 10 * format.MINUTE;

// What can be said of a model from its own data; rules and alerts have their own page.
export function state_of(model) {
    if (model.last_event === null) return { level: "idle", word: "no events", why: "Nothing has arrived for this model yet." };
    if (model.lag > SILENT_MS) return { level: "warn", word: "silent", why: `The newest event is from ${format.time(model.last_event)}, ${format.duration(model.lag)} ago.` };
    if (model.joined === 0 && model.predictions > 0 && model.labels === 0)
        return { level: "idle", word: "no labels", why: "Predictions arrive, labels do not: quality cannot be told yet." };
    return { level: "good", word: "receiving", why: `The newest event is from ${format.time(model.last_event)}.` };
}

export function badge(state) {
    return h("span", { class: `badge ${state.level}`, title: state.why }, h("i", { "aria-hidden": "true" }), state.word);
}

// Whole windows only; of quality those whose labels are in.
function settled(answer, series) {
    const labels = needs_labels(series.metric) ? answer.labels_complete_up_to : null;
    const end = Math.min(answer.complete_up_to ?? Infinity, labels ?? Infinity);
    const whole = series.points.filter((p) => p.end <= end);
    return { ...series, points: whole.some((p) => p.value !== null) ? whole : series.points };
}

function cell(label, series, kind, from_zero) {
    const points = series?.points ?? [];
    const last = points.findLast((p) => p.value !== null);
    const name = series?.metric ?? label;
    return h("td", { "data-label": label, "data-sort": last?.value },
        h("div", { class: "cell" },
            h("div", {},
                h("b", {}, last ? format.value(last.value, kind, format.half_width(last)) : "–"),
                h("small", {}, label)),
            spark(points.map((p) => p.value), { from_zero })),
        h("span", { class: "unseen" }, last ? `${name} over the last ${points.length} hours` : `${name}: no value yet`));
}

// The worst of what fires for a model, and how much more there is.
function alert_badge(alerts) {
    if (!alerts?.length) return null;
    const worst = severities.find((s) => alerts.some((a) => a.severity === s)) ?? "info";
    const said = alerts.map((a) => [a.rule, a.version, segment_of(a.segment)].filter(Boolean).join(" ")).join(", ");
    const mark = severity_badge(worst);
    mark.append(` · ${alerts.length} firing`);
    return h("a", { href: href(["alerts"]), title: said, class: "alert-link" }, mark);
}

// How many inputs have left the reference in the newest window, and the share of them hour by hour.
export function drift_summary(answer) {
    const at = new Map();
    for (const { points } of answer.features)
        for (const p of points.filter((p) => p.n > 0)) {
            const window = at.get(p.start) ?? { features: 0, drifted: 0 };
            at.set(p.start, { features: window.features + 1, drifted: window.drifted + (p.drifted ? 1 : 0) });
        }
    const windows = [...at].sort(([a], [b]) => a - b).map(([, window]) => window);
    return { reference: answer.reference, newest: windows.at(-1), shares: windows.map((w) => w.drifted / w.features) };
}

function drift_cell(model, drift) {
    if (!drift) return h("td", { "data-label": "drift" }, h("small", {}, "–"));
    if (!drift.reference)
        return h("td", { "data-label": "drift" }, h("small", { title: "Inputs are compared with a reference: see `reference:` in docs/configuration.md" }, "no reference"));
    const { newest, shares } = drift;
    return h("td", { "data-label": "drift", "data-sort": shares.at(-1) },
        h("div", { class: "cell" },
            h("div", {},
                h("a", { href: href(["models", model, "drift"]) }, h("b", {}, newest ? `${newest.drifted} of ${newest.features}` : "–")),
                h("small", {}, "drifted")),
            spark(shares, { from_zero: true })),
        h("span", { class: "unseen" }, `share of drifted features over the last ${shares.length} hours`));
}

class Row {
    constructor(model) {
        this.element = h("tr", {});
        this.update(model);
    }
    update(model) {
        this.model = model;
        this.draw();
    }
    show(alerts, releases) {
        this.alerts = alerts;
        this.releases = releases;
        this.draw();
    }
    async load_drift(signal) {
        this.drift = drift_summary(await get(model_path(this.model.name, "/drift"), { window: "1h" }, signal));
        this.draw();
    }
    async load(signal) {
        const quality = quality_of[this.model.task] ?? "count";
        const answer = await get(model_path(this.model.name, "/metrics"), { metric: `${quality},count,error_rate,latency_p99` }, signal);
        this.series = Object.fromEntries(answer.series.map((s) => [s.metric, settled(answer, s)]));
        this.draw();
    }
    // How soon somebody should look: the smaller the sooner.
    trouble() {
        const worst = Math.min(...(this.alerts ?? []).map((a) => severities.indexOf(a.severity)), severities.length);
        const level = { warn: 0, idle: 2 }[state_of(this.model).level] ?? 3;
        return worst * 10 + (this.releases?.some((e) => e.state === "rolled_back" || is_held(e)) ? 0 : 5) + level;
    }
    draw() {
        const { model } = this, quality = quality_of[model.task] ?? "count", s = this.series ?? {};
        const coverage = model.predictions > 0 ? model.joined / model.predictions : null;
        redraw(this.element,
            h("th", { scope: "row", "data-sort": model.name },
                h("a", { href: href(["models", model.name]) }, model.name),
                h("small", {}, model.task, " · ", model.versions.length === 1 ? model.versions[0] : `${model.versions.length} versions`)),
            h("td", { "data-label": "state", "data-sort": this.trouble() }, h("div", { class: "badges" }, badge(state_of(model)), alert_badge(this.alerts), this.releases?.map(release_link))),
            cell(quality, s[quality], format.kind_of(quality, s[quality]?.unit), false),
            cell("predictions / h", s.count, "count", true),
            cell("errors", s.error_rate, "percent", true),
            cell("latency p99", s.latency_p99, "ms", true),
            drift_cell(model.name, this.drift),
            h("td", { "data-label": "labels", class: "number", "data-sort": coverage },
                h("b", {}, coverage === null ? "–" : format.value(coverage, "percent", 0.05)),
                h("small", { title: "predictions that wait for their label" }, `${format.count(model.pending)} pending`)));
    }
}

// The sparklines as files: each window of each model's figures, and the pictures one below another.
function files(rows) {
    const series = () => [...rows.values()].flatMap(({ model, series: known }) => Object.values(known ?? {}).map((s) => ({ model: model.name, ...s })));
    const lines = () => series().flatMap((s) => s.points.map((p) => [s.model, s.metric, format.utc(p.start), format.utc(p.end), p.n, p.value]));
    return save_buttons("overview", {
        table: false,
        csv: () => [["model", "metric", "from", "to", "n", "value"], ...lines()],
        json: series,
        png: () => {
            const drawn = [...document.querySelectorAll(".models .spark")].filter((box) => box.querySelector("path"));
            if (drawn.length) save_svgs("overview", `Overview: ${[...rows.keys()].join(", ")}`, ...drawn);
        },
    });
}

// What cannot be read must not take the models away; its own page says why.
async function items_of(path, wanted, signal) {
    try {
        return (await get(path, {}, signal)).items.filter(wanted);
    } catch (error) {
        if (error.name === "AbortError") throw error;
        return [];
    }
}

export async function open(main, { signal }) {
    const rows = new Map();
    const body = h("tbody", {});
    const message = h("div", {}), urgent = h("div", {});
    const title = h("p", { class: "lead" });
    const table = h("table", { class: "models", hidden: true },
        h("caption", { class: "unseen" }, "All models"),
        h("thead", {}, h("tr", {}, ["Model", "State", "Quality", "Volume", "Errors", "Latency", "Drift", "Labels"].map((t) => h("th", { scope: "col" }, t)))),
        body);
    const tools = files(rows);
    tools.hidden = true;
    replace(main, h("div", { class: "page-head" }, h("h1", {}, "Overview"), tools, title), message, urgent, table);

    const load = async () => {
        const { items } = await get("/api/v1/models", {}, signal);
        replace(message, items.length ? null : nothing_yet());
        table.hidden = tools.hidden = items.length === 0;
        const fed = items.filter((m) => state_of(m).level === "good").length;
        const [alerts, releases] = await Promise.all([
            items_of("/api/v1/alerts", (a) => a.state === "firing", signal), items_of("/api/v1/experiments", worth_telling, signal)]);
        title.textContent = items.length ? `${format.things(items.length, "model")}, ${fed} receiving${alerts.length ? "" : ", nothing fires"} · last 24 hours, hour by hour` : "";
        redraw(urgent, attention(alerts, releases));
        for (const model of items) {
            const row = rows.get(model.name);
            if (row) row.update(model);
            else rows.set(model.name, new Row(model));
            rows.get(model.name).show(alerts.filter((a) => a.model === model.name), releases.filter((e) => e.model === model.name));
        }
        const in_order = items.map((m) => rows.get(m.name)).sort((a, b) => a.trouble() - b.trouble());
        const focused = document.activeElement;
        replace(body, in_order.map((row) => row.element));
        if (body.contains(focused)) focused.focus({ preventScroll: true });
        sortable(table, "models");
        await in_parallel(items, 4, (m) => rows.get(m.name).load(signal));
        await in_parallel(items, 2, (m) => rows.get(m.name).load_drift(signal)); // the dearest question comes last
        sortable(table, "models");
    };
    await follow(signal, { load, message, hears: ({ type }) => (type === "status" ? null : SOON) });
}
