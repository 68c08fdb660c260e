// Where does it come from? The slices and versions that contributed to a change, the largest first.
import { h, svg } from "./dom.js";
import * as format from "./format.js";
import { save_buttons } from "./save.js";

const WIDTH = 120;

// Left of the middle it pulled down, right it pulled up.
function bar(value, most, words) {
    const box = svg("svg", { class: "pull", viewBox: `0 0 ${WIDTH} 14`, width: WIDTH, height: 14, role: "img", "aria-label": words });
    const length = most > 0 ? (Math.abs(value) / most) * (WIDTH / 2 - 2) : 0;
    box.append(svg("line", { class: "zero", x1: WIDTH / 2, x2: WIDTH / 2, y1: 0, y2: 14 }), svg("rect", { class: value < 0 ? "down" : "up", x: value < 0 ? WIDTH / 2 - length : WIDTH / 2, y: 3, width: Math.max(1, length), height: 8 }));
    return box;
}

const slice_name = (s) => (s.segment ? s.segment.replace(":", " = ") : `version ${s.version}`);

// x: the answer of /explain; `unit` of its metric.
export function explain_part(x, unit) {
    if (!x.metric || x.change === null || !x.slices.length) return null;
    const kind = format.kind_of(x.metric, unit), most = Math.max(...x.slices.map((s) => Math.abs(s.contribution ?? 0)));
    const signed = (v) => (v === null || v === undefined ? "–" : `${v > 0 ? "+" : v < 0 ? "−" : ""}${format.value(Math.abs(v), kind)}`);
    const pair = (s) => [format.value(s.before.value, kind, format.half_width(s.before)), " → ", h("b", {}, format.value(s.now.value, kind, format.half_width(s.now)))];
    const line = (s) => h("tr", {}, h("th", { scope: "row" }, slice_name(s)),
        h("td", { class: "number" }, format.count(s.now.n)), h("td", { class: "number", title: `before ${format.interval(s.before, kind)}, now ${format.interval(s.now, kind)}` }, pair(s)),
        h("td", {}, bar(s.contribution ?? 0, most, `contribution ${signed(s.contribution)}`)), h("td", { class: "number" }, h("b", {}, signed(s.contribution))),
        h("td", { class: "number what" }, s.within === null ? "" : `${signed(s.within)} own, ${signed(s.between)} by its share`));
    const span = (from, to) => h("time", { title: `${format.utc(from)} to ${format.utc(to)}` }, `${format.time(from)} – ${format.clock_time(to)}`);
    const csv = () => [["version", "segment", "n_before", "before", "n_now", "now", "contribution", "within", "between"], ...x.slices.map((s) => [s.version, s.segment, s.before.n, s.before.value, s.now.n, s.now.value, s.contribution, s.within, s.between])];
    return h("section", { class: "block", "aria-label": "Contributions" },
        h("div", { class: "block-head" }, h("h2", {}, "Where does it come from?"), h("p", { class: "left" }, h("code", {}, x.metric), " ", h("b", {}, signed(x.change)), ` (${format.value(x.before.value, kind)} → ${format.value(x.now.value, kind)}) since `, span(x.compared_with.from, x.compared_with.to)),
            save_buttons("contributions", { json: () => x, csv })),
        x.cause ? h("p", { class: "cause" }, x.cause) : null,
        h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain dense" }, h("caption", { class: "unseen" }, "Slices and versions by their contribution"),
            h("thead", {}, h("tr", {}, ["Slice", "n", "before → now", "", "contribution", ""].map((t, i) => (t ? h("th", { scope: "col", class: i ? "number" : null }, t) : h("td", { class: i === 5 ? "what" : null }))))),
            h("tbody", {}, x.slices.slice(0, 8).map(line)))));
}
