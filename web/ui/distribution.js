// How did it move? The reference and one window over each other, on the same edges; then quantiles,
// rates and every statistic in numbers.
import { h, svg } from "./dom.js";
import * as format from "./format.js";
import { colour } from "./palette.js";
import { save_buttons, save_svgs } from "./save.js";

const HEIGHT = 246, LEFT = 62, RIGHT = 12, TOP = 10, BOTTOM = 50;
const REFERENCE = 6, CURRENT = 1; // places in the palette: grey, and orange with a dash

// Narrow screens get a narrower drawing, not smaller letters.
const room_for = () => (innerWidth < 720 ? Math.max(280, innerWidth - 60) : 620);

const short = (v) => (v === null ? "–" : format.value(v, "number"));
const share_text = (v) => (v === null || v === undefined ? "–" : v === 0 ? "0 %" : v < 0.00005 ? "< 0.01 %" : `${Number((v * 100).toFixed(v < 0.01 ? 2 : 1))} %`);

const key_of = (which, text) => h("span", { class: "reading" },
    h("i", { class: "swatch", style: { "--ink": colour(which) }, "data-dash": which === CURRENT ? "1" : "0" }), text);

// Counts to shares: two samples of different size on one axis.
function shares(bins, outside) {
    const sum = (side) => bins.reduce((s, b) => s + (b[side] ?? 0), 0) + (outside?.[side] ?? 0);
    const all = { reference: sum("reference"), current: sum("current") };
    const part = (b, side) => (b?.[side] === null || b?.[side] === undefined || !all[side] ? null : b[side] / all[side]);
    return {
        bins: bins.map((b) => ({ ...b, r: part(b, "reference"), c: part(b, "current") })),
        outside: outside ? { r: part(outside, "reference"), c: part(outside, "current") } : null,
    };
}

function y_axis(box, width, scale, ticks) {
    for (const t of ticks) {
        const y = scale(t);
        box.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
            svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, share_text(t)));
    }
}

const nice = (most) => {
    const raw = most / 4, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw);
    return Array.from({ length: 6 }, (_, i) => i * step).filter((t) => t <= most * 1.001);
};

// One y scale for both samples; on a log scale a decade below the smallest share is the ground.
function y_scale(values, log) {
    const known = values.filter((v) => v > 0), most = Math.max(1e-9, ...known), height = HEIGHT - TOP - BOTTOM;
    if (!log) return { y: (v) => HEIGHT - BOTTOM - (v / (most * 1.06)) * height, ticks: nice(most) };
    const low = 10 ** Math.floor(Math.log10(Math.min(...known, most / 10)) - 0.001), span = Math.log10((most * 1.3) / low);
    const ticks = [];
    for (let t = low * 10; t <= most * 1.3; t *= 10) ticks.push(t);
    return { y: (v) => (v > low ? HEIGHT - BOTTOM - (Math.log10(v / low) / span) * height : HEIGHT - BOTTOM), ticks };
}

function numeric(d, log, label) {
    const { bins, outside } = shares(d.bins, d.outside), WIDTH = room_for();
    const box = svg("svg", { class: "overlay", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
    const { y, ticks } = y_scale(bins.flatMap((b) => [b.r, b.c]).concat(outside?.r, outside?.c).filter((v) => v !== null && v !== undefined), log);
    const room = outside ? 54 : 0, low = bins[0].from, high = bins.at(-1).to;
    const x = (v) => LEFT + ((v - low) / (high - low || 1)) * (WIDTH - LEFT - RIGHT - room);
    const ground = HEIGHT - BOTTOM;
    y_axis(box, WIDTH, y, ticks);
    box.append(svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, cut(d.kind === "embedding" ? `norm of ${d.feature}` : d.feature, 60)),
        svg("text", { transform: `translate(11 ${(TOP + ground) / 2}) rotate(-90)`, "text-anchor": "middle" }, log ? "share, log scale" : "share, %"));
    const steps = (side) => bins.map((b, i) => `${i ? "L" : "M"}${x(b.from).toFixed(1)} ${y(b[side]).toFixed(1)}L${x(b.to).toFixed(1)} ${y(b[side]).toFixed(1)}`).join("");
    const area = (side) => `M${x(low).toFixed(1)} ${ground}${steps(side).replace("M", "L")}L${x(high).toFixed(1)} ${ground}Z`;
    if (bins.some((b) => b.r !== null))
        box.append(svg("path", { d: area("r"), fill: colour(REFERENCE), "fill-opacity": 0.22 }), svg("path", { d: steps("r"), fill: "none", stroke: colour(REFERENCE), "stroke-width": 1.5 }));
    if (bins.some((b) => b.c !== null))
        box.append(svg("path", { d: area("c"), fill: colour(CURRENT), "fill-opacity": 0.16 }), svg("path", { d: steps("c"), fill: "none", stroke: colour(CURRENT), "stroke-width": 2, "stroke-dasharray": "7 3" }));
    if (outside) {
        const at = WIDTH - RIGHT - 40;
        for (const [side, i, ink] of [["r", 0, REFERENCE], ["c", 1, CURRENT]])
            if (outside[side] !== null)
                box.append(svg("rect", { x: at + i * 18, y: y(outside[side]), width: 15, height: Math.max(0, ground - y(outside[side])), fill: colour(ink), "fill-opacity": 0.55 }));
        box.append(svg("text", { x: at + 17, y: ground + 15, "text-anchor": "middle" }, "outside"));
    }
    box.append(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: ground, y2: ground }));
    const gap = (nice(high - low || 1)[1] ?? 1) * (WIDTH < 500 ? 2 : 1);
    for (let t = Math.ceil(low / gap) * gap; t <= high + gap * 1e-9; t += gap)
        box.append(svg("text", { x: x(t), y: ground + 15, "text-anchor": "middle" }, short(Math.abs(t) < gap * 1e-9 ? 0 : t)));
    return box;
}

const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

function categories(d, label) {
    const { bins, outside } = shares(d.bins, d.outside);
    const rows = bins.slice(0, 20).map((b) => ({ name: b.category ?? "?", r: b.r, c: b.c }));
    const rest = bins.slice(20).reduce((s, b) => ({ r: s.r + (b.r ?? 0), c: s.c + (b.c ?? 0) }), { r: outside?.r ?? 0, c: outside?.c ?? 0 });
    if (rest.r || rest.c) rows.push({ name: `all others (${bins.length - 20 > 0 ? `${bins.length - 20} and more` : "more"})`, ...rest });
    const WIDTH = room_for(), line = 30, name_room = WIDTH < 500 ? 110 : 170, value_room = 56, height = rows.length * line + 8;
    const most = Math.max(1e-9, ...rows.flatMap((r) => [r.r ?? 0, r.c ?? 0]));
    const length = (v) => ((v ?? 0) / most) * (WIDTH - name_room - value_room);
    const box = svg("svg", { class: "overlay", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label });
    rows.forEach((row, i) => {
        const top = 4 + i * line;
        box.append(svg("text", { x: name_room - 10, y: top + 17, "text-anchor": "end", class: "strong" }, svg("title", {}, row.name), cut(row.name, WIDTH < 500 ? 15 : 24)));
        for (const [side, k, ink] of [["r", 0, REFERENCE], ["c", 1, CURRENT]]) {
            if (row[side] === null) continue;
            box.append(svg("rect", { x: name_room, y: top + 2 + k * 12, width: Math.max(0.5, length(row[side])), height: 10, fill: colour(ink), "fill-opacity": k ? 0.85 : 0.5 }),
                svg("text", { x: name_room + length(row[side]) + 6, y: top + 11 + k * 12 }, share_text(row[side])));
        }
    });
    return box;
}

// d: the answer of /distribution; `log` and `on_log` for the switch.
export function overlay(d, { log, on_log }) {
    const known = d.reference !== null && d.bins.some((b) => b.reference !== null);
    const what = d.kind === "categorical" ? "Shares of the categories" : d.kind === "embedding" ? "Norms of the vectors" : "Shares of the values";
    const label = `${what} of ${d.feature}. Reference: ${known ? `${format.count(d.reference.n)} events` : "none"}; window: ${format.count(d.n)} values. ${summary(d)}`;
    const drawable = d.bins.length > 0 && (d.n > 0 || known);
    const chart = !drawable ? h("p", { class: "chart-note" }, "There is no value to draw in this window. Choose another cell, or a longer window.")
        : d.kind === "categorical" ? categories(d, label) : numeric(d, log, label);
    const rows = () => [d.kind === "categorical" ? ["category", "reference", "window"] : ["from", "to", "reference", "window"],
        ...d.bins.map((b) => (d.kind === "categorical" ? [b.category, b.reference, b.current] : [b.from, b.to, b.reference, b.current]))];
    return h("section", { class: "chart", "aria-label": "Distributions" },
        h("header", {}, h("h2", { class: "plain-title" }, "Reference and window"),
            h("div", { class: "chart-tools" },
                drawable && d.kind !== "categorical" ? h("button", { type: "button", class: "quiet", id: "log-y", "aria-pressed": String(log), onclick: on_log, title: "Small shares seen, too" }, "Log") : null,
                drawable ? save_buttons(`distribution of ${d.feature}`, { json: () => d, csv: rows, png: () => save_svgs(`${d.feature} distribution`, `${d.feature}: reference (grey) and window (dashed)`, chart) }) : null)),
        h("div", { class: "readout keys" }, known ? key_of(REFERENCE, `reference, n ${format.count(d.reference.n)}`) : h("span", { class: "n" }, d.reference_why ?? "no reference has this feature"), key_of(CURRENT, `window, n ${format.count(d.n)}`)),
        chart);
}

function summary(d) {
    const median = d.quantiles.find((q) => q.q === 0.5);
    if (median && median.current !== null) return `Median ${short(median.current)}${median.reference === null ? "" : `, reference ${short(median.reference)}`}.`;
    const top = d.bins[0];
    return top?.category ? `Largest: ${top.category}.` : "";
}

const signed = (v, write) => (v === null ? "–" : v === 0 ? "0" : `${v > 0 ? "+" : "−"}${write(Math.abs(v))}`);
const change_of = (a, b) => (a === null || a === undefined || b === null || b === undefined ? null : b - a);

export function quantiles(d) {
    if (!d.quantiles.some((q) => q.current !== null || q.reference !== null)) return null;
    const spread = (() => { const at = (p) => d.quantiles.find((q) => q.q === p)?.reference; return at(0.75) === null ? 0 : at(0.75) - at(0.25); })();
    const line = (q) => {
        const by = change_of(q.reference, q.current);
        return h("tr", {}, h("th", { scope: "row" }, q.q === 0.5 ? "median" : `${q.q * 100} %`), h("td", { class: "number" }, short(q.reference)), h("td", { class: "number" }, short(q.current)),
            h("td", { class: "number" }, signed(by, short)), spread > 0 ? h("td", { class: "number" }, by === null ? "–" : signed(Math.abs(by / spread) < 0.005 ? 0 : by / spread, (v) => v.toFixed(2))) : null);
    };
    return block("Quantiles", ["", "reference", "window", "change", ...(spread > 0 ? ["in IQR"] : [])], d.quantiles.map(line), spread > 0 ? "IQR: the distance of the reference's quartiles" : null);
}

function block(title, heads, lines, note = null) {
    return h("section", { class: "block tight", "aria-label": title }, h("h2", { title: note }, title), h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain dense" }, h("caption", { class: "unseen" }, title),
        h("thead", {}, h("tr", {}, heads.map((t, i) => (t ? h("th", { scope: "col", class: i ? "number" : null }, t) : h("td", { class: i ? "what" : null }))))), h("tbody", {}, lines))));
}

// What is missing, invalid, never seen before or beyond the range, and how that changed.
export function rates(d, point) {
    const reference = d.rates?.reference ?? null;
    const reasons = Object.entries(point?.invalid ?? {}).map(([name, n]) => `${name} ${format.count(n)}`).join(", ");
    const rows = [["missing", reference?.missing_rate ?? null, point?.missing_rate], ["invalid", reference?.invalid_rate ?? null, point?.invalid_rate, reasons]];
    if (d.kind === "categorical") rows.push(["unseen category", reference ? 0 : null, point?.unseen_rate]);
    else if (d.kind === "numeric") rows.push(["outside the range", reference ? 0 : null, point?.outside_rate]);
    return block("Rates", ["", "reference", "window", "change"], rows.map(([name, before, now, why]) => {
        const by = change_of(before, now);
        return h("tr", {}, h("th", { scope: "row" }, name, why ? h("small", {}, why) : null), h("td", { class: "number" }, share_text(before)), h("td", { class: "number" }, share_text(now)),
            h("td", { class: by > 0.01 ? "number bad" : "number" }, by !== null && Math.abs(by) < 5e-6 ? "0" : signed(by, share_text).replace(" %", " pp")));
    }));
}

const statistics_known = [
    ["ks", "ks_p", "largest distance of the cumulative shares"], ["psi", null, "population stability index"], ["js_distance", null, "Jensen–Shannon, base 2"],
    ["hellinger", null, "Hellinger"], ["wasserstein_norm", null, "earth mover's, in standard deviations of the reference"], ["wasserstein", null, "earth mover's, in the feature's unit"],
    ["chi2", "chi2_p", "χ² of the contingency table"], ["l_infinity", null, "largest difference of a share"],
    ["mean_distance_norm", null, "distance of the mean vectors, in standard deviations of the reference's vectors"], ["mean_distance", null, "the same, in the feature's unit"],
];

export function statistics(point) {
    const why = (name, what) => (name === point.method && point.threshold !== null ? [h("b", {}, "decides"), `, threshold ${point.threshold_of === "p_value" ? "p " : ""}${short(point.threshold)}: ${what}`] : what);
    const lines = statistics_known.filter(([name]) => point?.[name] !== null && point?.[name] !== undefined).map(([name, p, what]) => h("tr", { class: name === point.method ? "total" : null },
        h("th", { scope: "row" }, h("code", {}, name)), h("td", { class: "what" }, why(name, what)),
        h("td", { class: "number" }, short(point[name])), h("td", { class: "number" }, p && point[p] !== null ? p_text(point[p]) : "")));
    return lines.length ? block("Statistics", ["", "", "value", "p"], lines) : null;
}

export const p_text = (p) => (p === null || p === undefined ? "–" : p < 1e-12 ? "< 1e-12" : p < 0.001 ? p.toExponential(0) : String(Number(p.toPrecision(2))));
