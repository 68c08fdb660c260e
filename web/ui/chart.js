// One metric over time: a line a version with its 95% band, gaps where nothing was measured, a
// hatch where labels still arrive, a mark where a version first served. All charts of a page share
// the cross-hair; dragging chooses a range.
import { draw_levels, draw_lone_intervals, draw_marks, draw_spans, lone, room_for_marks } from "./chart_marks.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { colour, css, dash } from "./palette.js";
import { by_clock } from "./time_axis.js";

let uplot = null;
export async function load_charts() {
    if (uplot === null) {
        try { uplot = (await import("/vendor/uplot.js")).default; } catch { uplot = false; }
    }
    return Boolean(uplot);
}

export const needs_labels = (metric) =>
    !/^(count|throughput|latency_|error_rate|positive_rate|prediction_|confidence_|estimated_|labelled_rate|[gc]pu_utilization|memory_bytes)/.test(metric);

// Shares of a machine are read beside each other: all of them from none to all.
const is_utilization = (metric) => /_utilization$/.test(metric);

function hatch(context, left, top, width, height, line) {
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.strokeStyle = line;
    context.lineWidth = devicePixelRatio;
    context.beginPath();
    const gap = 7 * devicePixelRatio;
    for (let x = left - height; x < left + width; x += gap) {
        context.moveTo(x, top + height);
        context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
}

// The y range: the values of windows with enough in them, and of the bands what the middle 90% of
// windows need, so that one window with three events does not flatten the rest.
function y_range(rows, kind, weight) {
    const values = [], lows = [], highs = [];
    for (const row of rows) {
        const weights = row.points.filter((p) => p.value !== null).map(weight).sort((a, b) => a - b);
        const enough = (weights[Math.floor(weights.length / 2)] ?? 0) * 0.2;
        for (const p of row.points) {
            if (p.value === null || weight(p) < enough) continue;
            values.push(p.value);
            if (p.lower !== null) { lows.push(p.lower); highs.push(p.upper); }
        }
    }
    if (!values.length) return [0, 1];
    lows.sort((a, b) => a - b);
    highs.sort((a, b) => a - b);
    let low = Math.min(...values, lows[Math.floor(lows.length * 0.05)] ?? Infinity);
    let high = Math.max(...values, highs[Math.floor(highs.length * 0.95)] ?? -Infinity);
    if (["count", "ms", "bytes", "percent"].includes(kind)) low = Math.min(0, low);
    const pad = (high - low || Math.abs(high) || 1) * 0.08;
    return [low === 0 ? 0 : low - pad, high + pad];
}

// A window with less than a tenth of the usual labels is not drawn: its value says nothing yet.
function columns(rows, complete, weight) {
    const first = rows[0]?.points ?? [];
    const data = [first.map((p) => (complete && p.end > complete ? Math.max(p.start, complete) : p.end))];
    for (const row of rows) {
        const weights = row.points.filter((p) => p.value !== null).map(weight).sort((a, b) => a - b);
        const enough = (weights[Math.floor(weights.length / 2)] ?? 0) * 0.1;
        const drawn = row.points.map((p) => (weight(p) < enough ? { value: null, lower: null, upper: null } : p));
        data.push(drawn.map((p) => p.lower), drawn.map((p) => p.upper), drawn.map((p) => p.value));
    }
    return data;
}

// As many digits as the distance of the ticks needs.
function axis_value(kind, gap) {
    const digits = (g) => {
        let d = 0;
        while (d < 8 && Math.abs(g * 10 ** d - Math.round(g * 10 ** d)) > 1e-6) d++;
        return d;
    };
    if (kind === "percent") return (v) => `${(v * 100).toFixed(digits(gap * 100))} %`;
    if (kind === "number") return (v) => (Math.abs(v) >= 1e6 ? v.toExponential(1) : v.toFixed(digits(gap)));
    return (v) => format.value(v, kind);
}

// Steps of an axis, where not every number will do: of bytes powers of two, of events whole ones.
const steps_of = {
    bytes: { incrs: Array.from({ length: 64 }, (_, i) => 2 ** i) },
    count: { incrs: Array.from({ length: 16 }, (_, i) => [1, 2, 5].map((m) => m * 10 ** i)).flat() },
};

// What the vertical axis measures, and in what.
function y_title(metric, kind, window) {
    const unit = { percent: "%", ms: "ms", bytes: "bytes" }[kind];
    if (metric === "count") return `predictions per ${format.span_name(window)}`;
    return unit ? `${metric}, ${unit}` : metric;
}

const HEIGHT = 206, MOST_READINGS = 5;

export class Chart {
    // metric: {name, unit, better, help}
    constructor(metric, { group, on_range, on_cross, links, peers, files = () => null }) {
        this.metric = metric;
        this.kind = format.kind_of(metric.name, metric.unit);
        this.group = group;
        this.on_range = on_range;
        this.on_cross = on_cross;
        this.rows = [];
        this.estimates = []; // what was expected before the labels came: dashed
        this.spans = [];
        this.levels = [];
        this.axis = by_clock;
        this.at = null; // index under the cross-hair
        this.plot = null;
        this.as_table = false;
        this.readout = h("div", { class: "readout" });
        this.canvas = h("div", { class: "canvas", role: "img", tabindex: "0", onkeydown: (e) => this.key(e) });
        this.table = h("div", { class: "chart-table", hidden: true, tabindex: "0" });
        this.note = h("p", { class: "chart-note", hidden: true });
        this.table_button = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => this.toggle() }, "Table");
        const saved = (form) => (event) => { // what no address gives is written by the page
            const own = files();
            if (own) { event.preventDefault(); own[form](); }
        };
        this.json_link = h("a", { class: "quiet", download: "", onclick: saved("json") }, "JSON");
        this.csv_link = h("a", { class: "quiet", download: "", onclick: saved("csv") }, "CSV");
        const png = h("button", { type: "button", class: "quiet", onclick: () => this.save() }, "PNG");
        this.links = links;
        this.peers = peers;
        this.element = h("section", { class: "chart", "aria-label": metric.name },
            h("header", {},
                h("h2", { title: metric.help ?? "" }, metric.name,
                    metric.better === "none" ? null : h("small", {}, metric.better === "higher" ? "higher is better" : "lower is better")),
                h("div", { class: "chart-tools" }, this.table_button, this.csv_link, this.json_link, png)),
            this.readout, this.canvas, this.table, this.note);
        this.resizer = new ResizeObserver(() => this.resize());
        this.resizer.observe(this.canvas);
    }

    // rows: [{version, index, points}], one grid of windows for all
    // spans: when alerts fired, [{rule, from, to, data}]; ends that are null are open
    // estimates: rows of the same windows; may be left out
    // axis: by_clock or since_release
    update({ rows, estimates, marks, spans, rules = [], complete, labels_complete, window, axis = by_clock }) {
        Object.assign(this, { rows, estimates: estimates ?? [], marks, complete, labels_complete, window, axis });
        const shape = [axis.name, window, room_for_marks(marks), ...[...rows, ...this.estimates].map((r) => r.version)].join("\n");
        [this.low, this.high] = is_utilization(this.metric.name) ? [0, 1] : y_range(rows, this.kind, (p) => this.weight(p));
        this.include_estimates();
        this.show_alerts(spans ?? [], rules, rows[0]?.points ?? []);
        this.csv_link.href = this.links("csv");
        this.json_link.href = this.links("json");
        const empty = ![...rows, ...this.estimates].some((row) => row.points.some((p) => p.value !== null));
        this.note.hidden = !empty;
        if (empty) this.note.textContent = this.why_empty();
        this.canvas.hidden = this.as_table || empty || !uplot;
        this.table.hidden = !(this.as_table || (!uplot && !empty));
        if (uplot && !empty) {
            if (this.plot && this.shape === shape) this.plot.setData(this.columns());
            else this.build();
        }
        this.shape = shape;
        this.canvas.setAttribute("aria-label", this.summary());
        this.show_values();
        if (!this.table.hidden) this.fill_table();
    }

    why_empty() {
        const why = this.rows.flatMap((row) => row.points).find((p) => p.why)?.why;
        const n = this.rows.reduce((sum, row) => sum + row.points.reduce((s, p) => s + p.n, 0), 0);
        if (n === 0) return "No predictions in this range. Choose a longer range, or see System for what arrives.";
        if (needs_labels(this.metric.name)) return `No value yet: ${this.labelled() ? why ?? "labels are too few" : "no labels have arrived"}. It appears by itself when labels allow it.`;
        return `No value: ${why ?? "nothing was measured"}.`;
    }

    labelled() { return this.rows.some((row) => row.points.some((p) => p.labelled > 0)); }

    build() {
        this.plot?.destroy();
        const series = [{}], bands = [];
        this.rows.forEach((row, i) => {
            const ink = colour(row.index), at = 1 + 3 * i;
            series.push({ stroke: "transparent", width: 0, points: { show: false } },
                { stroke: "transparent", width: 0, points: { show: false } },
                { label: row.version, stroke: ink, width: 1.75, dash: dash(row.index), points: { show: false, filter: (u, i) => lone(u.data[i]), size: 6, fill: ink, width: 0 } });
            bands.push({ series: [at + 1, at], fill: `${ink}2b` });
        });
        for (const row of this.estimates)
            series.push({ label: `${row.version ?? "all"}, expected`, stroke: colour(row.index), width: 1.25, dash: [3, 4], points: { show: false } });
        const text = css("--ink-soft"), grid = css("--rule");
        const font = "11px system-ui, sans-serif";
        const title = (label) => ({ label: label.length > 30 ? `${label.slice(0, 29)}…` : label, labelSize: 16, labelGap: 0, labelFont: font });
        const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
        const options = {
            width: Math.max(200, this.canvas.clientWidth || 400), height: this.height(), ms: 1, padding: [10 + room_for_marks(this.marks ?? []), 18, 0, 0],
            legend: { show: false }, series, bands,
            scales: { x: { time: !this.axis.steps }, y: { range: () => [this.low, this.high] } },
            axes: [
                { ...axis, ...title(this.axis.label), space: 64, ...(this.axis.steps ? { incrs: this.axis.steps } : {}), values: (u, splits) => this.axis.ticks(splits), size: 26 },
                { ...axis, ...title(y_title(this.metric.name, this.kind, this.window)), size: 58, space: 34, ...steps_of[this.kind], values: (u, splits) => splits.map(axis_value(this.kind, splits[1] - splits[0] || 1)) },
            ],
            cursor: { sync: { key: this.group, setSeries: false }, y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
            hooks: {
                drawClear: [(u) => this.draw_below(u)],
                draw: [(u) => this.draw_above(u)],
                setCursor: [(u) => { this.at = u.cursor.idx; this.show_values(); this.on_cross(u.cursor.idx === null || u.cursor.idx === undefined ? null : u.data[0][u.cursor.idx]); }],
                setSelect: [(u) => {
                    if (u.select.width < 8) return;
                    const from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
                    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
                    this.on_range(from, to);
                }],
            },
        };
        replace(this.canvas);
        this.plot = new uplot(options, this.columns(), this.canvas);
    }

    // The spans within the range, and the levels of their rules; a level near the values widens the
    // axis to be seen, one far away stays out.
    show_alerts(spans, rules, points) {
        const first = points[0]?.start ?? 0, last = points.at(-1)?.end ?? 0, reach = (this.high - this.low) * 0.8;
        this.spans = spans.filter((s) => (s.from ?? first) < last && (s.to ?? last) > first);
        this.levels = [...new Map(this.spans.concat(rules).filter((s) => typeof s.data.level === "number" && !s.data.relative &&
            s.data.level > this.low - reach && s.data.level < this.high + reach).map((s) => [s.data.level, s])).values()];
        for (const { data } of this.levels) {
            this.low = Math.min(this.low, data.level - reach * 0.06);
            this.high = Math.max(this.high, data.level + reach * 0.06);
        }
    }

    alert_words() {
        const one = (s) => `${s.rule} fired ${s.from === null ? "" : `from ${format.time(s.from)} `}${s.to === null ? "and still fires" : `until ${format.time(s.to)}`}`;
        return this.spans.length ? ` Alerts: ${this.spans.map(one).join("; ")}.` : "";
    }

    level_words() {
        return this.levels.length ? ` Levels of rules: ${this.levels.map(({ rule, data }) => `${rule} ${format.value(data.level, this.kind)}`).join("; ")}.` : "";
    }

    mark_words() {
        const shown = this.marks ?? [];
        return shown.length ? ` Marks: ${shown.map((m) => `${m.step ? `release: ${m.text}` : `${m.text} first served`} at ${format.time(m.at)}`).join("; ")}.` : "";
    }

    draw_below(u) {
        const { left, top, width, height } = u.bbox, context = u.ctx;
        draw_spans(u, this.spans);
        if (this.labels_complete !== null && needs_labels(this.metric.name)) {
            const x = Math.max(left, u.valToPos(this.labels_complete, "x", true));
            if (x < left + width) hatch(context, x, top, left + width - x, height, css("--hatch"));
        }
        draw_marks(u, this.marks ?? []);
    }

    draw_above(u) {
        draw_lone_intervals(u, this.rows);
        draw_levels(u, this.levels, this.kind);
    }

    // What a value rests on: labelled predictions where it needs labels.
    weight(point) { return needs_labels(this.metric.name) ? point.labelled : point.n; }

    columns() {
        const always = () => 1;
        const drawn = columns(this.rows, this.complete, needs_labels(this.metric.name) ? (p) => this.weight(p) : always);
        return [...drawn, ...this.estimates.map((row) => row.points.map((p) => p.value))];
    }

    // The estimates stay on the axis, however few of the labels are in.
    include_estimates() {
        const values = this.estimates.flatMap((row) => row.points).map((p) => p.value).filter((v) => v !== null);
        if (!values.length) return;
        const measured = this.rows.some((row) => row.points.some((p) => p.value !== null));
        const low = Math.min(...values), high = Math.max(...values), pad = (high - low || Math.abs(high) || 1) * 0.08;
        this.low = measured ? Math.min(this.low, low - pad) : low - pad;
        this.high = measured ? Math.max(this.high, high + pad) : high + pad;
    }

    // What was expected of the window that a row's reading shows.
    estimate_of(row, point) {
        const found = this.estimates.find((e) => e.version === row.version)?.points.find((p) => p.start === point.start);
        return found?.value === null ? undefined : found;
    }

    // Up to when windows hold all that they will.
    settled() {
        const labels = needs_labels(this.metric.name) ? this.labels_complete : null;
        return Math.min(this.complete ?? Infinity, labels ?? Infinity);
    }

    // The point under the cross-hair; else the last that is settled, so that what one reads first
    // is no window of two early labels.
    point_of(row) {
        if (this.at !== null && this.at !== undefined) return row.points[this.at];
        const known = row.points.filter((p) => p.value !== null);
        return known.findLast((p) => p.end <= this.settled()) ?? known.at(-1) ?? row.points.at(-1);
    }

    show_values() {
        // the newest of the windows that are read; a version that had ended by then tells its own
        const one = this.rows.map((row) => this.point_of(row)).filter(Boolean).sort((a, b) => b.start - a.start)[0];
        const state = one && this.complete && one.end > this.complete ? " · filling" : one && one.end > this.settled() ? " · labels arriving" : "";
        const when = one ? h("span", { class: "when", title: this.axis.exactly(one) }, `${this.axis.window(one)}${state}`) : null;
        const read = this.rows_read();
        replace(this.readout, when, read.map((row) => {
            const p = this.point_of(row);
            if (!p) return null;
            const half = format.half_width(p), range = format.interval(p, this.kind);
            return h("span", { class: "reading" },
                h("i", { class: "swatch", style: { "--ink": colour(row.index) }, "data-dash": dash(row.index).length ? "1" : "0" }),
                h("span", { class: "version" }, row.version ?? "all"),
                h("b", {}, format.value(p.value, this.kind, half)),
                range ? h("span", { class: "range", title: "95% confidence interval" }, range) : null,
                h("span", { class: "n", title: `${p.n} predictions, ${p.labelled} with a label` }, `n ${format.count(this.weight(p))}`),
                this.expected(row, p),
                p.error_bound > (half ?? 0) / 50 ? h("span", { class: "n", title: "how far the value may be from the exact one" }, `± ${format.value(p.error_bound, this.kind)}`) : null,
                p.start === one.start ? null : h("span", { class: "when", title: this.axis.exactly(p) }, this.axis.at(p.start)));
        }), read.length < this.rows.length ? h("span", { class: "n" }, `and ${this.rows.length - read.length} versions that ended earlier; the table has all`) : null);
    }

    // Of many versions, those with the newest windows have a reading; under the cross-hair, those that have a value there.
    rows_read() {
        const here = this.rows.filter((row) => this.at !== null && this.at !== undefined && row.points[this.at]?.value !== null);
        const newest = (row) => this.point_of(row)?.start ?? -1;
        if (this.rows.length <= MOST_READINGS) return this.rows;
        const chosen = new Set((here.length ? here : [...this.rows].sort((a, b) => newest(b) - newest(a))).slice(0, MOST_READINGS - 1));
        return this.rows.filter((row) => chosen.has(row));
    }

    expected(row, point) {
        const e = this.estimate_of(row, point);
        if (!e) return null;
        const about = `Expected before the labels came, from the reference${e.difference === null ? "" : `; off by ${format.value(e.difference, this.kind)}`}`;
        return h("span", { class: "n", title: about }, `expected ${format.value(e.value, this.kind, format.half_width(e))}`);
    }

    summary() {
        const parts = this.rows.map((row) => {
            const known = row.points.filter((p) => p.value !== null);
            if (!known.length) return `${row.version ?? "all versions"}: no value`;
            const last = known.at(-1), values = known.map((p) => p.value);
            const range = format.interval(last, this.kind);
            return `${row.version ?? "all versions"}: ${format.value(last.value, this.kind)}${range ? ` (${range})` : ""} ${this.axis.at(last.end)}, ` +
                `between ${format.value(Math.min(...values), this.kind)} and ${format.value(Math.max(...values), this.kind)} over ${known.length} windows` +
                (this.estimate_of(row, last) ? `, expected ${format.value(this.estimate_of(row, last).value, this.kind)} before its labels came` : "");
        });
        return `${this.metric.name} ${this.axis.title}. ${parts.join(". ")}.${this.level_words()}${this.alert_words()}${this.mark_words()} Arrow keys move through the windows.`;
    }

    fill_table() {
        const head = this.rows.map((row) => [h("th", { scope: "col" }, row.version ?? "all"), h("th", { scope: "col" }, "95% interval"), h("th", { scope: "col" }, "n"),
            this.estimates.length ? h("th", { scope: "col" }, "expected") : null]);
        const times = this.rows[0]?.points ?? [];
        const lines = times.map((time, i) => h("tr", {},
            h("th", { scope: "row", title: this.axis.row_exactly(time) }, this.axis.row(time)),
            this.rows.map((row) => {
                const p = row.points[i];
                return [h("td", {}, format.value(p.value, this.kind, format.half_width(p))), h("td", {}, format.interval(p, this.kind)), h("td", {}, format.count(p.n)),
                    this.estimates.length ? h("td", {}, format.value(this.estimate_of(row, p)?.value ?? null, this.kind)) : null];
            }))).reverse();
        replace(this.table, h("table", {}, h("caption", {}, `${this.metric.name}, ${this.axis.table}`),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, this.axis.column), head)), h("tbody", {}, lines)));
    }

    toggle() {
        this.as_table = !this.as_table;
        this.table_button.setAttribute("aria-pressed", String(this.as_table));
        this.canvas.hidden = this.as_table || !uplot;
        this.table.hidden = !this.as_table;
        if (this.as_table) this.fill_table();
        else this.resize();
    }

    key(event) {
        const n = this.rows[0]?.points.length ?? 0, step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!this.plot || !n) return;
        if (event.key === "Escape") { this.cross(null); return; }
        if (!step) return;
        event.preventDefault();
        const from = this.at ?? (step > 0 ? -1 : n);
        const at = Math.max(0, Math.min(n - 1, from + step));
        this.cross(at);
    }

    // Moves the cross-hair of all charts of the page, by the keyboard; the mouse's is uPlot's affair.
    cross(at) {
        for (const chart of this.peers()) {
            const x = at === null ? undefined : chart.plot?.data[0][at];
            chart.plot?.setCursor(x === undefined ? { left: -10, top: -10 } : { left: chart.plot.valToPos(x, "x"), top: 20 });
        }
    }

    save() {
        const from = this.canvas.querySelector("canvas");
        if (!from) return;
        const to = document.createElement("canvas");
        const head = 34 * devicePixelRatio;
        to.width = from.width;
        to.height = from.height + head;
        const context = to.getContext("2d");
        context.fillStyle = css("--panel");
        context.fillRect(0, 0, to.width, to.height);
        context.fillStyle = css("--ink");
        context.font = `600 ${13 * devicePixelRatio}px system-ui, sans-serif`;
        context.fillText(`${this.metric.name}   ${this.rows.map((r) => r.version ?? "all").join(", ")}`, 10 * devicePixelRatio, 22 * devicePixelRatio);
        context.drawImage(from, 0, head);
        to.toBlob((blob) => {
            const link = h("a", { href: URL.createObjectURL(blob), download: `${this.metric.name}.png` });
            link.click();
            setTimeout(() => URL.revokeObjectURL(link.href), 1000);
        });
    }

    height() { return HEIGHT + room_for_marks(this.marks ?? []); }

    resize() {
        const width = this.canvas.clientWidth;
        if (this.plot && width > 50 && Math.abs(width - this.plot.width) > 1) this.plot.setSize({ width, height: this.height() });
    }

    repaint() { if (this.plot) this.build(); }

    destroy() {
        this.resizer.disconnect();
        this.plot?.destroy();
    }
}
