// Which is better? Versions over one window, or two windows or two slices: every metric side by side with its
// interval, the curves over each other, calibration, confusion.
import { get, model_path, read_model } from "./api.js";
import { h, replace, settle, svg } from "./dom.js";
import { SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { view_of } from "./model.js";
import { colour, dash } from "./palette.js";
import { change, read } from "./route.js";
import { save_buttons, save_svgs } from "./save.js";
import { model_head, quiet_range } from "./tabs.js";

export const name = (parts) => `${parts[1]}: compare`;

const SIZE = 300, LEFT = 38, BOTTOM = 30, TOP = 8, RIGHT = 10;
const ranges = ["1h", "6h", "24h", "7d", "30d"];

const x_of = (v) => LEFT + v * (SIZE - LEFT - RIGHT);
const y_of = (v) => SIZE - BOTTOM - v * (SIZE - BOTTOM - TOP);

// A square of 0..1 × 0..1 with ticks and names of its axes.
function square(label, x_name, y_name) {
    const box = svg("svg", { class: "square", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": label });
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
        box.append(svg("line", { class: "grid", x1: x_of(tick), x2: x_of(tick), y1: y_of(0), y2: y_of(1) }),
            svg("line", { class: "grid", x1: x_of(0), x2: x_of(1), y1: y_of(tick), y2: y_of(tick) }));
        if (tick % 0.5 === 0)
            box.append(svg("text", { x: x_of(tick), y: SIZE - 16, "text-anchor": "middle" }, tick), svg("text", { x: LEFT - 6, y: y_of(tick) + 4, "text-anchor": "end" }, tick));
    }
    box.append(svg("text", { x: x_of(0.5), y: SIZE - 2, "text-anchor": "middle" }, x_name),
        svg("text", { x: 0, y: 0, transform: `translate(10 ${y_of(0.5)}) rotate(-90)`, "text-anchor": "middle" }, y_name));
    return box;
}

const line_of = (points, i) => svg("path", { class: "curve", stroke: colour(i), "stroke-dasharray": dash(i).join(" ") || null, d: points.map(([x, y], k) => `${k ? "L" : "M"}${x_of(x).toFixed(1)} ${y_of(y).toFixed(1)}`).join("") });

function swatch(i) { return h("i", { class: "swatch", style: { "--ink": colour(i) }, "data-dash": dash(i).length ? "1" : "0" }); }

function area_readings(rows, title) {
    return h("div", { class: "readout" }, rows.map((row) => h("span", { class: "reading" }, swatch(row.index), h("span", { class: "version" }, row.version),
        h("b", {}, format.value(row.area, "number", format.half_width(row))), h("span", { class: "range", title }, format.interval(row, "number")), h("span", { class: "n" }, `n ${format.count(row.labelled)}`))));
}

// A curve needs labels: no axes around nothing.
const no_curve = (title, what) => h("section", { class: "chart", "aria-label": title }, h("header", {}, h("h2", { class: "plain-title" }, title)), h("p", { class: "what" }, what),
    h("p", { class: "chart-note" }, "Nothing to draw: no labelled prediction of this range has a score. Choose a longer or an earlier range, or wait for the labels."));

function roc(rows) {
    const known = rows.filter((row) => row.points?.length), what = "Area: the chance that a positive scores above a negative.";
    if (!known.length) return no_curve("ROC curve", what);
    const box = square(`ROC curves. ${known.map((r) => `${r.version}: area ${format.value(r.area, "number")}`).join("; ")}`, "false positive rate", "true positive rate");
    box.append(svg("path", { class: "chance", d: `M${x_of(0)} ${y_of(0)}L${x_of(1)} ${y_of(1)}` }));
    known.forEach((row) => box.append(line_of([[0, 0], ...row.points.map((p) => [p.fpr, p.tpr])], row.index)));
    return card("ROC curve", what, rows, area_readings(rows, "95% confidence interval of the area"), box);
}

function precision_recall(rows) {
    const known = rows.filter((row) => row.points?.length), what = "Area: average precision.";
    if (!known.length) return no_curve("Precision and recall", what);
    const box = square(`Precision and recall. ${known.map((r) => `${r.version}: average precision ${format.value(r.area, "number")}`).join("; ")}`, "recall", "precision");
    known.forEach((row) => box.append(line_of(row.points.map((p) => [p.recall, p.precision]), row.index)));
    return card("Precision and recall", what, rows, area_readings(rows, "95% confidence interval of the average precision"), box);
}

// Expected calibration error, over the bins that the curve is made of.
const ece_of = (row) => row.bins.reduce((sum, b) => sum + (b.n ? (b.n / row.labelled) * Math.abs(b.observed - b.predicted) : 0), 0);

function calibration(rows) {
    const what = "On the diagonal a score is the probability that it claims. Below: the share of predictions with each score.";
    if (!rows.some((row) => row.bins.some((b) => b.n > 0))) return no_curve("Reliability", what);
    const box = square(`Reliability. ${rows.map((r) => `${r.version}: ${r.bins.filter((b) => b.n).length} of 10 bins in use`).join("; ")}`, "mean score", "share that was positive");
    box.append(svg("path", { class: "chance", d: `M${x_of(0)} ${y_of(0)}L${x_of(1)} ${y_of(1)}` }));
    const share = (row, b) => b.n / Math.max(1, row.labelled);
    const most = Math.max(1e-9, ...rows.flatMap((row) => row.bins.map((b) => share(row, b))));
    const bars = svg("svg", { class: "square bars-below", viewBox: `0 0 ${SIZE} 56`, "aria-hidden": "true" });
    rows.forEach((row, k) => {
        const used = row.bins.filter((b) => b.n > 0), width = (x_of(0.1) - x_of(0) - 4) / rows.length;
        used.forEach((b) => box.append(svg("line", { stroke: colour(row.index), "stroke-width": 1.5, opacity: 0.55, x1: x_of(b.predicted), x2: x_of(b.predicted), y1: y_of(b.lower), y2: y_of(b.upper) })));
        box.append(line_of(used.map((b) => [b.predicted, b.observed]), row.index));
        used.forEach((b) => box.append(svg("circle", { cx: x_of(b.predicted), cy: y_of(b.observed), r: 3, fill: colour(row.index) })));
        used.forEach((b) => bars.append(svg("rect", { x: x_of(b.from) + 2 + k * width, width: Math.max(1, width - 1), y: 50 - (46 * share(row, b)) / most, height: (46 * share(row, b)) / most, fill: colour(row.index) })));
    });
    bars.append(svg("line", { class: "grid", x1: x_of(0), x2: x_of(1), y1: 50.5, y2: 50.5 }));
    return card("Reliability", what, rows,
        h("div", { class: "readout" }, rows.map((row) => h("span", { class: "reading" }, swatch(row.index), h("span", { class: "version" }, row.version), row.labelled ? h("b", {}, `ECE ${format.value(ece_of(row), "number")}`) : null, h("span", { class: "n" }, `n ${format.count(row.labelled)}`)))), box, bars);
}

const class_name = (text, rows) => (text === "__rest__" ? `not ${rows[0]}` : text === "__other__" ? "others" : text);

function matrix(row) {
    const { classes, matrix: cells } = row;
    const sums = cells.map((line) => line.reduce((a, b) => a + b, 0));
    return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "matrix" },
        h("caption", {}, swatch(row.index), " ", row.version),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("small", {}, "label \\ predicted")), classes.map((c) => h("th", { scope: "col" }, class_name(c, classes))))),
        h("tbody", {}, cells.map((line, i) => h("tr", {}, h("th", { scope: "row" }, class_name(classes[i], classes)),
            line.map((n, k) => {
                const share = sums[i] ? n / sums[i] : 0;
                return h("td", { class: i === k ? "right" : "wrong", style: { "--share": share } }, h("b", {}, format.count(n)), h("small", {}, sums[i] ? `${(share * 100).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %` : "–"));
            }))))));
}

// `rows` as the API gave them: what CSV and JSON hold. PNG is the drawings of the card.
function card(title, what, rows, ...content) {
    const points = (row) => row.points ?? row.bins ?? [], keys = Object.keys(rows.map(points).find((p) => p.length)?.[0] ?? {});
    const drawings = content.filter((part) => part instanceof SVGElement);
    return h("section", { class: "chart", "aria-label": title }, h("header", {}, h("h2", { class: "plain-title" }, title),
        save_buttons(title, { json: () => rows, csv: () => [["version", ...keys], ...rows.flatMap((row) => points(row).map((p) => [row.version, ...keys.map((k) => p[k])]))], png: () => save_svgs(title, `${title}   ${rows.map((row) => row.version).join(", ")}`, ...drawings) })),
        h("p", { class: "what" }, what), content);
}

function table(answer, rows, defs) {
    const of = (metric, version) => answer.series.find((s) => s.metric === metric && s.version === version)?.points.at(-1);
    const metrics = [...new Set(answer.series.map((s) => s.metric))];
    const base = rows[0]?.version;
    const line = (metric) => {
        const series = answer.series.find((s) => s.metric === metric), kind = format.kind_of(metric, series.unit);
        const first = of(metric, base);
        return h("tr", {}, h("th", { scope: "row", title: defs.get(metric) ?? "" }, metric, series.better === "none" ? null : h("small", {}, `${series.better} is better`)),
            rows.map((row, i) => {
                const p = of(metric, row.version);
                if (!p || p.value === null) return h("td", { class: "number" }, "–", h("small", {}, p?.why ?? "nothing in this window"));
                const apart = i > 0 && first?.value !== null && first?.lower !== null && p.lower !== null && (p.lower > first.upper || p.upper < first.lower);
                const better = apart && series.better !== "none" && (series.better === "higher") === (p.value > first.value);
                return h("td", { class: "number" }, h("b", {}, format.value(p.value, kind, format.half_width(p))),
                    apart && series.better !== "none" ? h("span", { class: better ? "verdict good" : "verdict bad", title: `the intervals of ${row.version} and ${base} do not touch` }, better ? " ▲ better" : " ▼ worse") : null,
                    h("small", {}, format.interval(p, kind)));
            }));
    };
    return h("section", { class: "block", "aria-label": "Metrics" },
        h("div", { class: "block-head" }, h("h2", {}, "Side by side"), h("p", {}, `against ${base}; marked only where the 95% intervals do not touch. A decision belongs to an experiment.`),
            save_buttons("metrics side by side", { json: () => answer, csv: () => [["metric", "version", "n", "labelled", "value", "lower", "upper"], ...metrics.flatMap((metric) => rows.map((row) => { const p = of(metric, row.version); return [metric, row.version, p?.n, p?.labelled, p?.value, p?.lower, p?.upper]; }))] })),
        h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" }, h("caption", { class: "unseen" }, "Metrics of the versions"),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), rows.map((row) => h("th", { scope: "col", class: "number" }, swatch(row.index), " ", row.version)))),
            h("tbody", {}, metrics.map(line)))));
}

function confusion(rows) {
    if (!rows.some((row) => row.matrix.flat().some((n) => n > 0))) return null;
    const lines = (row) => row.matrix.flatMap((line, i) => line.map((n, k) => [row.version, row.classes[i], row.classes[k], n]));
    return h("section", { class: "block", "aria-label": "Confusion" },
        h("div", { class: "block-head" }, h("h2", {}, "Confusion"), save_buttons("confusion", { json: () => rows, csv: () => [["version", "label", "predicted", "n"], ...rows.flatMap(lines)] })),
        h("div", { class: "matrices" }, rows.map(matrix)));
}

const in_order = (a, b) => a.index - b.index;
const kinds_of = (model) => ({ binary: ["roc", "pr", "calibration", "confusion"], multiclass: ["calibration", "confusion"] }[model.task] ?? []);

// What the range may stand beside, and how far back that is.
const earlier = { before: ["the time just before", (span) => span], "1d": ["a day before", () => format.DAY], "7d": ["a week before", () => 7 * format.DAY] };
const segment_name = (segment) => (segment ? segment.replace(":", " = ") : "everything");
const window_name = (from, to) => `${format.time(from)} – ${format.time(to)}`;

// Two windows, or two slices, of one version or of all together: the one that is compared with stands first.
// null: the versions stand side by side.
function sides_of({ beside, version, segment }, { from, to }) {
    const here = { version, segment, from, to };
    if (!beside) return null;
    if (beside in earlier) {
        const back = earlier[beside][1](to - from), past = { ...here, from: Math.max(0, from - back), to: Math.max(1, to - back) };
        return [past, here].map((question) => ({ label: window_name(question.from, question.to), question }));
    }
    const other = { ...here, segment: beside === "everything" ? undefined : beside };
    return [other, here].map((question) => ({ label: segment_name(question.segment), question }));
}

class Page {
    constructor(main, model_name, signal) {
        Object.assign(this, { model_name, signal });
        this.head = h("div", { class: "page-head" });
        this.message = h("div", {});
        this.controls = h("div", { class: "controls" });
        this.table = h("div", {});
        this.curves = h("div", { class: "charts" });
        this.matrices = h("div", {});
        replace(main, this.head, this.message, this.controls, this.table, this.curves, this.matrices);
    }

    async load() {
        const { params } = read(), path = (rest) => model_path(this.model_name, rest), { signal } = this;
        const model = await read_model(this.model_name, signal);
        const slices = (await get(path("/slices"), {}, signal)).items;
        const view = view_of(params, model.complete_up_to), { shown_from: from, to } = view;
        this.draw_head(model, view, params, slices);
        this.step = format.span_name(view.step);
        const sides = sides_of(params, { from, to });
        const { metrics, curves, rows } = sides ? await this.load_sides(model, sides) : await this.load_versions(model, { segment: params.segment, from, to }, params.hide);
        if (!rows.some((row) => row.known)) { replace(this.table, quiet_range(model, { from, to, window: view.step })); replace(this.curves); replace(this.matrices); return; }
        replace(this.table, table(metrics, rows, new Map(model.metrics.map((m) => [m.name, m.help]))));
        replace(this.curves, curves.roc ? roc(curves.roc) : null, curves.pr ? precision_recall(curves.pr) : null, curves.calibration ? calibration(curves.calibration) : null);
        replace(this.matrices, curves.confusion ? confusion(curves.confusion) : null);
        replace(this.message);
    }

    // The metrics and curves of one question, as the API gives them; with its step a window ends where the range does.
    async ask(model, question) {
        const path = (rest) => model_path(this.model_name, rest), { from, to } = question, window = format.span_name(to - from);
        const [metrics, ...curves] = await Promise.all([
            get(path("/metrics"), { ...question, window, step: this.step, metric: model.main_metrics.join(",") }, this.signal),
            ...kinds_of(model).map((kind) => get(path("/curves"), { ...question, kind }, this.signal)),
        ]);
        return { metrics, curves: kinds_of(model).map((kind, i) => [kind, curves[i].series]) };
    }

    async load_versions(model, question, hide) {
        const hidden = new Set((hide ?? "").split("\n")), index = (version) => Math.max(0, model.versions.indexOf(version));
        const { metrics, curves } = await this.ask(model, { ...question, version: "*" });
        const known = metrics.series.filter((s) => !hidden.has(s.version) && s.points.some((p) => p.n > 0));
        const rows = [...new Set(known.map((s) => s.version))].map((version) => ({ version, index: index(version), known: true })).sort(in_order);
        const drawn = (series) => series.filter((s) => !hidden.has(s.version) && (s.n ?? 1) > 0).map((s) => ({ ...s, index: index(s.version) })).sort(in_order);
        return { metrics, rows, curves: Object.fromEntries(curves.map(([kind, series]) => [kind, drawn(series)])) };
    }

    // Each side is a question of its own; its label stands where a version stands otherwise.
    async load_sides(model, sides) {
        const answers = await Promise.all(sides.map(({ question }) => this.ask(model, question)));
        const named = (series, i) => series.map((s) => ({ ...s, version: sides[i].label, index: i }));
        const metrics = { ...answers[0].metrics, series: answers.flatMap((answer, i) => named(answer.metrics.series, i)) };
        const rows = sides.map(({ label }, i) => ({ version: label, index: i, known: answers[i].metrics.series.some((s) => s.points.some((p) => p.n > 0)) }));
        const drawn = (kind) => answers.flatMap((answer, i) => named(Object.fromEntries(answer.curves)[kind], i)).filter((s) => (s.n ?? 1) > 0);
        return { metrics, rows, curves: Object.fromEntries(kinds_of(model).map((kind) => [kind, drawn(kind)])) };
    }

    draw_head(model, view, params, slices) {
        const option = (value, text, chosen) => h("option", { value, selected: value === (chosen ?? "") }, text);
        const select = (id, label, key, options) => h("label", {}, `${label} `, h("select", { id, onchange: (e) => change({ [key]: e.target.value }) }, options));
        const group = (label, options) => (options.length ? h("optgroup", { label }, options) : null);
        const others = [["everything", "everything"], ...slices.map((s) => [s.segment, segment_name(s.segment)])].filter(([value]) => value !== (params.segment || "everything"));
        settle(this.head, model_head(model, "compare", params),
            h("p", { class: "lead" }, params.beside in earlier ? "two windows, the newer " : "one window, ",
                h("time", { title: format.utc(view.shown_from) }, format.time(view.shown_from)), " – ", h("time", { title: format.utc(view.to) }, format.time(view.to))));
        settle(this.controls,
            h("div", { class: "segmented", role: "group", "aria-label": "Range" }, ranges.map((r) => h("button", { type: "button", id: `range-${r}`, "aria-pressed": String(!view.fixed && view.range === format.span_ms(r)), onclick: () => change({ range: r === "24h" ? "" : r, from: "", to: "" }) }, r))),
            slices.length ? select("segment", "Slice", "segment", [option("", "everything", params.segment), slices.map((s) => option(s.segment, segment_name(s.segment), params.segment))]) : null,
            select("beside", "Compare", "beside", [option("", "versions", params.beside),
                group("this window with", Object.entries(earlier).map(([value, [text]]) => option(value, text, params.beside))),
                group("this slice with", slices.length ? others.map(([value, text]) => option(value, text, params.beside)) : [])]),
            params.beside ? this.choose_version(model, params) : this.toggle_versions(model, params));
    }

    toggle_versions(model, params) {
        const hidden_in = ({ hide }) => new Set((hide ?? "").split("\n").filter(Boolean)), shown = hidden_in(params);
        const toggle = (version) => {
            const hidden = hidden_in(read().params);
            if (hidden.has(version)) hidden.delete(version);
            else hidden.add(version);
            change({ hide: [...hidden].join("\n") });
        };
        return h("div", { class: "legend", role: "group", "aria-label": "Versions" }, model.versions.map((v, i) => h("button", { type: "button", class: "version-button", id: `version-${i}`, "aria-pressed": String(!shown.has(v)), onclick: () => toggle(v) }, swatch(i), v)));
    }

    choose_version(model, params) {
        const button = (value, text, i) => h("button", { type: "button", id: `version-${i}`, "aria-pressed": String((params.version ?? "") === value), onclick: () => change({ version: value }) }, text);
        return h("div", { class: "segmented", role: "group", "aria-label": "Version" }, button("", "all together", "all"), model.versions.map((v, i) => button(v, v, i)));
    }
}

export async function open(main, { parts, signal }) {
    const page = new Page(main, parts[1], signal);
    const hears = ({ type }) => (type === "status" ? null : SOON);
    await follow(signal, { load: () => page.load(), message: page.message, hears, on: { theme: (_, again) => again() } });
}
