// The release over time, all on one axis: how much of the traffic the treatment had, each metric's
// always-valid interval as it narrowed against its margin, and the sample ratio. One cross-hair.
import { h, replace, svg } from "./dom.js";
import * as format from "./format.js";
import { asked_of, difference_text, expected_share, interval_text, kind_of, known, margins, meaning, transition_words, words_of_status } from "./release_parts.js";
import { save_buttons, save_svgs } from "./save.js";

const LEFT = 72, RIGHT = 14, BOTTOM = 36;

const ticks_of = (from, to, room) => {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080].map((m) => m * format.MINUTE);
    const step = steps.find((s) => (to - from) / s <= room) ?? steps.at(-1), zone = new Date(from).getTimezoneOffset() * format.MINUTE, made = [];
    for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) made.push(t);
    return made;
};

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))];
const nice_step = (span) => { const raw = span / 3, p = 10 ** Math.floor(Math.log10(raw)); return [1, 2, 2.5, 5, 10].map((m) => m * p).find((s) => s >= raw); };

// A person's command bears the wall clock; where events of another time are read (a replay, a
// backlog), it belongs before the next thing that happened on event time.
function on_event_time(transitions, looks) {
    const made = transitions.map((t) => ({ ...t }));
    let next = looks.at(-1)?.at ?? Infinity;
    for (const t of [...made].reverse()) {
        if (t.verdict === "start" && looks.length) next = Math.min(next, looks[0].at - 1000);
        t.at = next = Math.min(t.at, t.clock === "event" ? Infinity : next);
    }
    return made;
}

export class ReleaseCharts {
    constructor() {
        this.at = null;
        this.ramp = h("section", { class: "chart", "aria-label": "Ramp" });
        this.grid = h("div", { class: "charts" });
        this.element = h("div", { class: "part", onkeydown: (e) => this.key(e) }, this.ramp, this.grid);
        this.resizer = new ResizeObserver(() => this.data && this.width !== this.ramp.clientWidth && this.draw());
        this.resizer.observe(this.ramp);
    }
    destroy() { this.resizer.disconnect(); }

    // experiment, looks and transitions as the API gives them
    update(data) {
        this.data = { ...data, transitions: on_event_time(data.transitions, data.looks) };
        this.draw();
    }

    span() {
        const { looks, transitions, experiment } = this.data, times = looks.map((l) => l.at).concat(transitions.map((t) => t.at));
        const from = times.length ? Math.min(...times) : experiment.since;
        return { from, to: Math.max(...times, from + 60_000) };
    }

    scale(width) {
        const { from, to } = this.span();
        return { from, to, x: (ms) => LEFT + ((Math.max(from, Math.min(to, ms)) - from) / (to - from)) * (width - LEFT - RIGHT) };
    }

    // The frame that all share: times below, lines where the weight changed.
    frame(width, height, label, y_name) {
        const s = this.scale(width), ground = height - BOTTOM;
        const box = svg("svg", { class: "over-time", viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": `${label} Arrow keys move through the looks.` });
        for (const t of ticks_of(s.from, s.to, width / 90)) {
            const midnight = new Date(t).getHours() === 0 && new Date(t).getMinutes() === 0;
            box.append(svg("line", { class: "grid", x1: s.x(t), x2: s.x(t), y1: 4, y2: ground }), svg("text", { x: s.x(t), y: ground + 15, "text-anchor": "middle" }, midnight ? format.day_name(t) : format.clock_time(t)));
        }
        box.append(svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: ground, y2: ground }));
        box.append(svg("text", { x: (LEFT + width - RIGHT) / 2, y: height - 4, "text-anchor": "middle" }, `event time, ${format.zone_title}`),
            svg("text", { transform: `translate(11 ${(4 + ground) / 2}) rotate(-90)`, "text-anchor": "middle" }, y_name));
        const cross = svg("line", { class: "cross", x1: 0, x2: 0, y1: 4, y2: ground, visibility: "hidden" });
        box.addEventListener("pointermove", (event) => this.point(event, box, width, s));
        box.addEventListener("pointerleave", () => this.move(null));
        this.crosses.push([cross, s]);
        return { box, s, ground, cross };
    }

    draw() {
        const had = this.element.contains(document.activeElement) ? [...this.element.querySelectorAll(".over-time")].indexOf(document.activeElement) : -1;
        this.crosses = [];
        this.readouts = [];
        this.width = this.ramp.clientWidth;
        this.draw_ramp(Math.max(300, this.width - 30));
        const { experiment, looks } = this.data;
        const metrics = looks.length ? experiment.metrics.map((m) => m.metric) : [];
        const column = this.column();
        replace(this.grid, metrics.map((metric) => this.metric_card(metric, Math.max(280, column))), looks.some((l) => known(l.srm)) ? [this.ratio_card(Math.max(280, column)), this.share_card(Math.max(280, column))] : null);
        this.move(this.at);
        if (had >= 0) this.element.querySelectorAll(".over-time")[had]?.focus({ preventScroll: true });
    }

    // The room for a drawing in one of the grid's columns; an empty grid is not laid out, one that is not on the page never.
    column() {
        if (!this.grid.childElementCount) this.grid.append(h("section", { class: "chart" }));
        const width = parseFloat(getComputedStyle(this.grid).gridTemplateColumns);
        return width > 0 ? width - 30 : this.width - 30; // less the card's padding and border
    }

    draw_ramp(width) {
        const { experiment: e, transitions, looks } = this.data, height = 164;
        const steps = e.steps.map((s) => s.weight).join(" → ");
        const words = `Share of the treatment over time: planned ${steps} %, now ${e.weight} %. ${transitions.map((t) => `${format.time(t.at)} ${transition_words[t.verdict] ?? t.verdict} ${t.to.weight} %`).join("; ")}.`;
        const { box, s, ground, cross } = this.frame(width, height, words, "treatment, %");
        const y = (weight) => ground - (weight / 100) * (ground - 14);
        const small = Math.min(...e.steps.map((step) => step.weight)) < 12; // its label needs the room of 0 %
        for (const w of [...new Set([...(small ? [] : [0]), ...e.steps.map((step) => step.weight), 100])])
            box.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(w), y2: y(w) }), svg("text", { x: LEFT - 6, y: y(w) + 4, "text-anchor": "end" }, `${w} %`));
        let d = `M${s.x(s.from)} ${y(0)}`;
        for (const t of transitions) d += `H${s.x(t.at).toFixed(1)}V${y(t.to.weight).toFixed(1)}`;
        d += `H${s.x(s.to).toFixed(1)}`;
        box.append(svg("path", { class: "weight-area", d: `${d}V${ground}H${s.x(s.from)}Z` }), svg("path", { class: "weight", d }));
        const holds = transitions.map((t, i) => ({ t, next: transitions[i + 1] })).filter(({ t }) => t.verdict === "hold");
        box.append(svg("path", { class: "held", d: holds.map(({ t, next }) => `M${s.x(t.at).toFixed(1)} ${y(t.to.weight).toFixed(1)}H${s.x(next?.at ?? (e.verdict?.verdict === "hold" ? s.to : t.at)).toFixed(1)}`).join("") }));
        transitions.filter((t, i) => t.verdict !== "hold" || transitions[i - 1]?.verdict !== "hold").forEach((t) => box.append(this.mark(t, s.x(t.at), y(t.to.weight))));
        const planned = e.steps.slice(e.step + 1);
        if (["running", "paused"].includes(e.state) && planned.length) box.append(svg("text", { x: s.x(s.to) - 4, y: y(planned[0].weight) + 13, "text-anchor": "end" }, `next ${planned[0].weight} %`));
        box.append(cross);
        const readout = h("div", { class: "readout" });
        this.readouts.push((look) => replace(readout, look ? [h("span", { class: "when", title: format.utc(look.at) }, format.time(look.at)), h("span", { class: "reading" }, h("b", {}, `${look.weight} %`), h("span", { class: "n" }, `${format.count(look.units.control)} + ${format.count(look.units.treatment)} units in the step · ${look.verdict}`))] : null));
        replace(this.ramp, h("header", {}, h("h2", { class: "plain-title" }, "Ramp ", h("small", {}, steps.replaceAll(" →", " % →"), " %")),
            save_buttons(`ramp of ${e.name}`, { json: () => ({ transitions: transitions.map(({ evidence, ...rest }) => rest), looks }), csv: () => this.csv(), png: () => save_svgs(`${e.name} ramp`, `${e.name}: share of ${e.treatment}`, box) })), readout, box);
    }

    mark(t, x, y) {
        const shape = { advance: "M0-6L6 4H-6Z", start: "M-4-6L6 0-4 6Z", promote: "M0-7L2-2 7-2 3 1 5 7 0 3-5 7-3 1-7-2-2-2Z", rollback: "M0 6L6-4H-6Z", pause: "M-5-6H-1V6H-5ZM1-6H5V6H1Z", freeze: "M-5-6H-1V6H-5ZM1-6H5V6H1Z", hold: "M-5-5H5V5H-5Z" }[t.verdict] ?? "M0-6L6 0 0 6-6 0Z";
        return svg("g", { class: `mark ${t.verdict}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` }, svg("title", {}, `${transition_words[t.verdict] ?? t.verdict} ${t.to.weight} %\n${format.time(t.at)}\n${format.utc(t.at)}\n${t.who}: ${t.reason}`), svg("path", { d: shape }));
    }

    metric_card(metric, width) {
        const { experiment: e, looks, transitions } = this.data, height = 204, asked = asked_of(e, metric);
        const head = (...tools) => h("header", {}, h("h2", {}, metric, " ", h("small", {}, [asked?.role ?? "", meaning(metric)].filter(Boolean).join(" · "))), tools);
        const points = looks.map((l) => ({ at: l.at, ...(l.metrics.find((m) => m.metric === metric) ?? { difference: null, lower: null, upper: null, status: "undefined" }) }));
        if (!points.some((p) => known(p.difference))) return h("section", { class: "chart", "aria-label": metric }, head(), h("p", { class: "chart-note" }, `Nothing to draw yet: ${this.why_nothing(metric)}.`));
        const last = points.findLast((p) => known(p.difference)) ?? points.at(-1);
        const limits = points.map((p) => margins(asked, p.control));
        const decided = points.find((p) => ["harmed", "limit_crossed", "non_inferior", "superior"].includes(p.status));
        const words = `${metric}: difference of treatment and control with its always-valid interval. Last ${difference_text(metric, last?.difference)}, ${interval_text(metric, last ?? {})}; ${words_of_status[last?.status]?.[1] ?? "open"}.`;
        const { box, s, ground, cross } = this.frame(width, height, words, `difference${{ percent: ", pp", ms: ", ms" }[kind_of(metric)] ?? ""}`);
        const y = this.y_scale(points, limits, ground, box, metric, width);
        const clip = (v) => Math.max(5, Math.min(ground, y(v)));
        this.draw_intervals(box, points, { s, clip, ground });
        box.append(svg("line", { class: "zero", x1: LEFT, x2: width - RIGHT, y1: clip(0), y2: clip(0) }));
        const line = (values, name) => { const known_ones = values.filter(([, v]) => known(v)); if (known_ones.length > 1) box.append(svg("path", { class: name, d: `M${known_ones.map(([at, v]) => `${s.x(at).toFixed(1)} ${clip(v).toFixed(1)}`).join("L")}` })); };
        line(points.map((p, i) => [p.at, limits[i].margin]), "margin");
        line(points.map((p, i) => [p.at, limits[i].harm || null]), "harm");
        const at_right = (v, text) => known(v) && box.append(svg("text", { class: "line-name", x: width - RIGHT - 2, y: clip(v) - 4, "text-anchor": "end" }, text));
        at_right(limits.at(-1).margin, "margin");
        at_right(limits.at(-1).harm || null, "harm");
        line(points.map((p) => [p.at, p.difference]), "difference");
        for (const t of transitions.filter((t) => t.from.weight !== t.to.weight && t.verdict !== "start" && t.at >= s.from))
            box.append(svg("line", { class: "step-mark", x1: s.x(t.at), x2: s.x(t.at), y1: 4, y2: ground }), svg("text", { x: s.x(t.at) + (s.x(t.at) > width - 60 ? -4 : 4), y: 13, "text-anchor": s.x(t.at) > width - 60 ? "end" : "start" }, `${t.to.weight} %`));
        if (decided) box.append(svg("path", { class: `decided ${words_of_status[decided.status][0]}`, d: `M${s.x(decided.at)} ${clip(decided.difference ?? 0) - 6}l6 6-6 6-6-6z` }));
        box.append(cross);
        const readout = h("div", { class: "readout" }), at_end = looks.length - 1;
        this.readouts.push((look) => {
            const p = points[look ? looks.indexOf(look) : at_end], half = known(p.lower) && known(p.upper) ? (p.upper - p.lower) / 2 : 0, limit = margins(asked, p.control).margin;
            replace(readout, h("span", { class: "when", title: format.utc(p.at) }, format.time(p.at)), h("span", { class: "reading" }, h("b", {}, difference_text(metric, p.difference, half)), h("span", { class: "range" }, interval_text(metric, p)), limit === null ? null : h("span", { class: "n" }, `margin ${difference_text(metric, limit)}`),
                h("span", { class: `verdict ${words_of_status[p.status]?.[0] ?? ""}` }, words_of_status[p.status]?.[1] ?? p.status)));
        });
        return h("section", { class: "chart", "aria-label": metric }, head(
            save_buttons(`${metric} of ${e.name}`, { json: () => points, csv: () => [["at", "difference", "lower", "upper", "status"], ...points.map((p) => [p.at, p.difference, p.lower, p.upper, p.status])], png: () => save_svgs(`${e.name} ${metric}`, `${e.name}: ${metric}, ${e.treatment} − ${e.control}`, box) })), readout, box, this.no_interval(metric, points));
    }

    // A band over neighbouring looks; one that stands alone (a rollback at the first that could tell) is a bar.
    draw_intervals(box, points, { s, clip, ground }) {
        const spanned = (p) => known(p.lower) || known(p.upper);
        const end = (p, side) => (known(p[side]) ? clip(p[side]) : side === "upper" ? 5 : ground).toFixed(1);
        const edge = (side, list) => list.map((p) => `${s.x(p.at).toFixed(1)} ${end(p, side)}`).join("L");
        const runs = points.reduce((made, p, i) => {
            if (!spanned(p)) return made;
            if (i > 0 && spanned(points[i - 1])) made.at(-1).push(p);
            else made.push([p]);
            return made;
        }, []);
        for (const run of runs) {
            if (run.length === 1) {
                const [p] = run, x = s.x(p.at);
                box.append(svg("path", { class: "interval", d: `M${x.toFixed(1)} ${end(p, "upper")}V${end(p, "lower")}` }));
                for (const side of ["upper", "lower"].filter((one) => known(p[one]))) box.append(svg("path", { class: "interval", d: `M${(x - 4).toFixed(1)} ${end(p, side)}h8` }));
                continue;
            }
            box.append(svg("path", { class: "band", d: `M${edge("upper", run)}L${edge("lower", [...run].reverse())}Z` }));
            for (const side of ["upper", "lower"]) box.append(svg("path", { class: "band-edge", d: `M${edge(side, run)}` }));
        }
    }

    why_nothing(metric) {
        const now = this.data.experiment.verdict?.metrics?.find((m) => m.metric === metric);
        return now?.why ?? (/^latency_p/.test(metric) ? "both versions' quantiles are told at the end of each whole minute" : "no value of both versions");
    }

    // Why a chart has no band, in words; null where it has one.
    no_interval(metric, points) {
        if (points.some((p) => known(p.lower) || known(p.upper))) return null;
        const now = this.data.experiment.verdict?.metrics?.find((m) => m.metric === metric);
        const why = /^latency_p/.test(metric) ? "what is judged is the share of requests slower than control's quantile, not this difference" : now?.why ?? "the data do not allow one yet";
        return h("p", { class: "chart-remark" }, `No interval: ${why}.`);
    }

    // The margin, zero and what most of the looks need; the wide beginning is cut.
    y_scale(points, limits, ground, box, metric, width) {
        const marks = [0, ...limits.map((l) => l.margin).filter(known)], late = points.slice(Math.floor(points.length / 4));
        const values = (side) => late.map((p) => p[side]).filter(known);
        const highs = values("upper").concat(values("difference")), lows = values("lower").concat(values("difference"));
        let high = Math.max(...marks, highs.length ? quantile(highs, 0.85) : 0), low = Math.min(...marks, lows.length ? quantile(lows, 0.15) : 0);
        if (high === low) { high += 0.01; low -= 0.01; }
        const pad = (high - low) * 0.08;
        high += pad; low -= pad;
        const y = (v) => ground - ((v - low) / (high - low)) * (ground - 8), step = nice_step(high - low);
        for (let t = Math.ceil(low / step) * step; t <= high; t += step) {
            const v = Math.abs(t) < step * 1e-6 ? 0 : t;
            box.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }),
                svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, kind_of(metric) === "percent" ? `${Number((v * 100).toPrecision(3))} pp` : kind_of(metric) === "ms" ? `${Number(v.toPrecision(3))} ms` : Number(v.toPrecision(3))));
        }
        return y;
    }

    ratio_card(width) {
        const { experiment: e, looks } = this.data, height = 204, floor = 1e-6;
        const last = looks.findLast((l) => known(l.srm));
        const { box, s, ground, cross } = this.frame(width, height, `Sample ratio: the p value of the sequential test, now ${last.srm.toPrecision(2)}; below 0.001 the release is held.`, "p, log scale");
        const y = (p) => 8 + (Math.log10(1 / Math.max(floor, Math.min(1, p))) / 6) * (ground - 8);
        for (const [p, text] of [[1, "1"], [0.1, "0.1"], [0.01, "0.01"], [0.001, "0.001"], [1e-6, "1e-6"]])
            box.append(svg("line", { class: p === 0.001 ? "margin" : "grid", x1: LEFT, x2: width - RIGHT, y1: y(p), y2: y(p) }), svg("text", { x: LEFT - 6, y: y(p) + 4, "text-anchor": "end" }, text));
        box.append(svg("path", { class: "difference", d: `M${looks.filter((l) => known(l.srm)).map((l) => `${s.x(l.at).toFixed(1)} ${y(l.srm).toFixed(1)}`).join("L")}` }), cross);
        const readout = h("div", { class: "readout" });
        this.readouts.push((look) => { const l = look ?? last; replace(readout, h("span", { class: "when", title: format.utc(l.at) }, format.time(l.at)), h("span", { class: "reading" }, h("b", {}, known(l.srm) ? `p ${l.srm < 0.001 ? l.srm.toExponential(1) : Number(l.srm.toPrecision(2))}` : "–"), h("span", { class: "n" }, `${format.count(l.units.control)} + ${format.count(l.units.treatment)} units in the step`))); });
        return h("section", { class: "chart", "aria-label": "Sample ratio" }, h("header", {}, h("h2", { class: "plain-title" }, "Sample ratio", h("small", {}, " sequential p; held below 0.001")),
            save_buttons(`sample ratio of ${e.name}`, { json: () => looks.map((l) => ({ at: l.at, p: l.srm, ...l.units })), csv: () => [["at", "p", "control", "treatment"], ...looks.map((l) => [l.at, l.srm, l.units.control, l.units.treatment])], png: () => save_svgs(`${e.name} sample ratio`, `${e.name}: sample ratio`, box) })), readout, box);
    }

    // Whether the callers do what the weight asks for: the share of units that treatment really got.
    share_card(width) {
        const { experiment: e, looks } = this.data, height = 204;
        const shares = looks.map((l) => ({ at: l.at, expected: expected_share(e, l.weight), observed: l.units.control + l.units.treatment ? l.units.treatment / (l.units.control + l.units.treatment) : null }));
        const last = shares.at(-1), percent = (v) => (known(v) ? `${Number((v * 100).toPrecision(3))} %` : "–");
        const { box, s, ground, cross } = this.frame(width, height, `Share of the units in treatment: ${percent(last.observed)} of the ${percent(last.expected)} that the weight asks for.`, "units, %");
        const most = Math.min(1, 1.15 * Math.max(0.01, ...shares.flatMap((p) => [p.expected, p.observed]).filter(known))), y = (v) => ground - (Math.min(v, most) / most) * (ground - 8), step = nice_step(most);
        for (let t = 0; t <= most + 1e-9; t += step) box.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(t), y2: y(t) }), svg("text", { x: LEFT - 6, y: y(t) + 4, "text-anchor": "end" }, percent(t)));
        const path = (key, edge) => shares.filter((p) => known(p[key])).map((p, i) => `${i ? edge(p) : `M${s.x(p.at).toFixed(1)} `}${y(p[key]).toFixed(1)}`).join("");
        box.append(svg("path", { class: "expected", d: path("expected", (p) => `H${s.x(p.at).toFixed(1)}V`) }), svg("path", { class: "difference", d: path("observed", (p) => `L${s.x(p.at).toFixed(1)} `) }), cross);
        const readout = h("div", { class: "readout" });
        this.readouts.push((look) => { const p = look ? shares[looks.indexOf(look)] : last; replace(readout, h("span", { class: "when", title: format.utc(p.at) }, format.time(p.at)), h("span", { class: "reading" }, h("b", {}, percent(p.observed)), h("span", { class: "n" }, `of ${percent(p.expected)} that the weight asks for (dashed)`))); });
        return h("section", { class: "chart", "aria-label": "Share of the units" }, h("header", {}, h("h2", { class: "plain-title" }, "Share of the units", h("small", {}, " treatment, in the step")),
            save_buttons(`share of units of ${e.name}`, { json: () => shares, csv: () => [["at", "expected", "observed"], ...shares.map((p) => [p.at, p.expected, p.observed])], png: () => save_svgs(`${e.name} share of units`, `${e.name}: share of units in treatment`, box) })), readout, box);
    }

    csv() {
        const { looks } = this.data;
        return [["at", "step", "weight", "verdict", "units_control", "units_treatment", "srm_p", "metric", "control", "treatment", "difference", "lower", "upper", "status"],
            ...looks.flatMap((l) => l.metrics.map((m) => [l.at, l.step, l.weight, l.verdict, l.units.control, l.units.treatment, l.srm, m.metric, m.control, m.treatment, m.difference, m.lower, m.upper, m.status]))];
    }

    point(event, box, width, s) {
        const { looks } = this.data, where = box.getBoundingClientRect(), at = s.from + (((event.clientX - where.left) * (width / where.width) - LEFT) / (width - LEFT - RIGHT)) * (s.to - s.from);
        if (!looks.length) return;
        this.move(looks.reduce((best, l, i) => (Math.abs(l.at - at) < Math.abs(looks[best].at - at) ? i : best), 0));
    }

    move(index) {
        const { looks } = this.data, look = index === null ? null : looks[Math.max(0, Math.min(looks.length - 1, index))];
        this.at = look ? looks.indexOf(look) : null;
        for (const [cross, s] of this.crosses) {
            cross.setAttribute("visibility", look ? "visible" : "hidden");
            if (look) for (const end of ["x1", "x2"]) cross.setAttribute(end, s.x(look.at));
        }
        for (const show of this.readouts) show(look);
    }

    key(event) {
        if (!event.target.classList?.contains("over-time") || !this.data.looks.length) return;
        const last = this.data.looks.length - 1, at = this.at;
        const to = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last }[event.key];
        if (event.key === "Escape") this.move(null);
        else if (to !== undefined) { event.preventDefault(); this.move(Math.max(0, Math.min(last, to))); }
    }
}
