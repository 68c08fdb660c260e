// Where is it bad? One line a slice, the whole range as one window, each version's interval on a common scale and how
// it went over the range; first what is most surely worse than everything together.
import { get, model_path } from "./api.js";
import { h, replace, svg } from "./dom.js";
import * as format from "./format.js";
import { colour } from "./palette.js";
import { change } from "./route.js";
import { save_buttons } from "./save.js";
import { sortable } from "./sort.js";
import { spark } from "./spark.js";

const WIDTH = 260, LINE = 15;

// The marker of a version, besides its colour: circle, square, diamond, triangle.
function marker(i, x, y, ink) {
    const shapes = [
        () => svg("circle", { cx: x, cy: y, r: 3.6, fill: ink }),
        () => svg("rect", { x: x - 3.2, y: y - 3.2, width: 6.4, height: 6.4, fill: ink }),
        () => svg("path", { d: `M${x} ${y - 4.6}l4.6 4.6-4.6 4.6-4.6-4.6z`, fill: ink }),
        () => svg("path", { d: `M${x} ${y - 4.2}l4.4 7.6h-8.8z`, fill: ink }),
    ];
    return shapes[i % shapes.length]();
}

function interval_plot(points, scale, kind) {
    const known = points.filter((p) => p.value !== null);
    const height = Math.max(1, known.length) * LINE + 6;
    const x = (v) => 6 + ((v - scale.low) / (scale.high - scale.low)) * (WIDTH - 12);
    const box = svg("svg", { class: "intervals", viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, role: "img",
        "aria-label": known.map((p) => `${p.version ?? "all"} ${format.value(p.value, kind, format.half_width(p))} (${format.interval(p, kind)})`).join("; ") || "no value" });
    for (const o of scale.overall)
        box.append(svg("line", { x1: x(o.value), x2: x(o.value), y1: 0, y2: height, stroke: colour(o.index), "stroke-dasharray": "2 3", opacity: 0.7 }));
    known.forEach((p, i) => {
        const y = 3 + LINE * (i + 0.5), ink = colour(p.index);
        if (p.lower !== null) box.append(svg("line", { x1: x(p.lower), x2: x(p.upper), y1: y, y2: y, stroke: ink, "stroke-width": 1.8 }));
        box.append(marker(p.index, x(p.value), y, ink));
    });
    return box;
}

// How far a value lies on the bad side of everything's, in half widths of its interval: above 1 the interval leaves
// it out. Where neither side is bad, either is.
function worse_by(point, overall, better) {
    const whole = overall.find((o) => o.version === point.version), half = format.half_width(point);
    if (!whole || point.value === null || !half) return -Infinity;
    const above = (point.value - whole.value) / half;
    return better === "lower" ? above : better === "higher" ? -above : Math.abs(above);
}

export async function slices_table(place, page, signal) {
    const keys = [...new Set(page.known_slices.map((s) => s.key))];
    if (!keys.length) { replace(place); return; }
    const key = keys.includes(page.params.by) ? page.params.by : keys[0];
    const names = page.metric_names(), metric = names.includes(page.params.slice_metric) ? page.params.slice_metric : names[0];
    const { to, step, shown_from } = page.view;
    const question = { metric, version: "*", from: shown_from, to, window: format.span_name(to - shown_from), step: format.span_name(step) };
    const path = model_path(page.model.name, "/metrics");
    const window = format.span_name(page.coarse_window()), segment = `${key}:*`;
    const [all, sliced, over_time] = await Promise.all([get(path, question, signal), get(path, { ...question, segment }, signal), get(path, { ...question, segment, window, step: window }, signal)]);
    const hidden = page.hidden, index = (version) => Math.max(0, page.model.versions.indexOf(version));
    const point = (s) => ({ version: s.version, index: index(s.version), ...(s.points[0] ?? { n: 0, labelled: 0, value: null, lower: null, upper: null }) });
    const shown = (s) => !hidden.has(s.version);
    const kind = format.kind_of(metric, all.series[0]?.unit), better = all.series[0]?.better ?? "none";
    const rows = new Map();
    for (const s of sliced.series.filter(shown)) {
        const row = rows.get(s.segment) ?? { segment: s.segment, points: [] };
        const course = over_time.series.find((o) => o.segment === s.segment && o.version === s.version);
        row.points.push({ ...point(s), course: course?.points.map(({ start, n, value }) => ({ start, n, value })) ?? [] });
        rows.set(s.segment, row);
    }
    const overall = all.series.filter(shown).map(point).filter((p) => p.value !== null);
    const ends = [...rows.values()].flatMap((r) => r.points).concat(overall).filter((p) => p.value !== null).flatMap((p) => [p.lower ?? p.value, p.upper ?? p.value]);
    const low = Math.min(...ends), high = Math.max(...ends), pad = (high - low || 1) * 0.04;
    const scale = { low: low - pad, high: high + pad, overall };
    for (const row of rows.values()) row.worse_by = Math.max(...row.points.map((p) => worse_by(p, overall, better)));
    const sorted = [...rows.values()].sort((a, b) => b.worse_by - a.worse_by);
    draw(place, page, { keys, key, names, metric, kind, better, scale, sorted, ends });
}

function course_of(point) {
    const line = spark(point.course.map((p) => p.value), { width: 100, height: LINE });
    line.style.setProperty("--accent", colour(point.index));
    return h("div", {}, line);
}

function draw(place, page, { keys, key, names, metric, kind, better, scale, sorted, ends }) {
    const select = (id, values, chosen, name) => h("select", { id, "aria-label": name, onchange: (e) => change({ [id === "slice-key" ? "by" : "slice_metric"]: e.target.value }) },
        values.map((v) => h("option", { value: v, selected: v === chosen }, v)));
    const focus = document.activeElement?.id;
    const numbers = (p) => h("div", {}, h("b", {}, format.value(p.value, kind, format.half_width(p))), " ", h("small", {}, format.interval(p, kind)));
    const line = (row) => h("tr", {},
        h("th", { scope: "row", "data-sort": row.segment }, h("button", { type: "button", class: "link", onclick: () => change({ segment: row.segment }), title: "Show only this slice in the charts" }, row.segment.slice(key.length + 1)),
            row.worse_by > 1 ? h("small", { class: "verdict bad", title: "its interval leaves out the value of everything together" }, better === "none" ? " ◆ differs" : " ▼ worse") : null),
        h("td", { class: "number", "data-sort": row.points.reduce((sum, p) => sum + p.n, 0) }, row.points.map((p) => h("div", { title: `${p.n} predictions, ${p.labelled} with a label` }, format.count(p.n)))),
        h("td", { class: "number", "data-sort": row.points.findLast((p) => p.value !== null)?.value }, row.points.map(numbers)),
        h("td", {}, interval_plot(row.points, scale, kind)),
        h("td", {}, row.points.map(course_of)));
    replace(place, h("div", { class: "block-head" }, h("h2", {}, "Slices"), select("slice-metric", names, metric, "Metric"), " by ", select("slice-key", keys, key, "Segment"),
        h("p", {}, "whole range as one window, first what is most surely worse; dotted: everything"),
            save_buttons(`${metric} by ${key}`, { json: () => sorted, csv: () => [["segment", "version", "n", "labelled", "value", "lower", "upper"], ...sorted.flatMap((row) => row.points.map((p) => [row.segment, p.version, p.n, p.labelled, p.value, p.lower, p.upper]))] })),
        h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain slices" },
            h("caption", { class: "unseen" }, `${metric} by ${key}`),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, key), h("th", { scope: "col" }, "n"), h("th", { scope: "col" }, metric),
                h("th", { scope: "col" }, ends.length ? h("span", { class: "ends" }, h("span", {}, format.value(scale.low, kind, (scale.high - scale.low) / 20)), "95% interval", h("span", {}, format.value(scale.high, kind, (scale.high - scale.low) / 20))) : "95% interval"), h("th", { scope: "col" }, "over the range"))),
            h("tbody", {}, sorted.map(line)))));
    sortable(place.querySelector("table"), "slices");
    if (focus === "slice-metric" || focus === "slice-key") document.getElementById(focus)?.focus({ preventScroll: true });
}
