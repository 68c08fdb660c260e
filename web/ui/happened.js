// What happened to a model, on the time axis that its charts share: a lane each for versions that
// first served, steps of releases, alerts, shifts that were found by the event, and changes that
// people made. Also as a table and files.
import { h, replace, svg } from "./dom.js";
import * as format from "./format.js";
import { colour } from "./palette.js";
import { save_buttons, save_svgs } from "./save.js";

const LEFT = 78, RIGHT = 12, LANE = 24, AXIS = 20, MOST_LANES = 4;
const kinds = { deploy: "versions", step: "releases", alert: "alerts", shift: "shifts", change: "changes" };

const words_of_action = {
    "reference.set": () => "reference replaced",
    "reference.forget": () => "reference taken away",
    "version.set": (row) => `facts of ${row.detail?.version ?? "a version"} registered`,
    "silence.create": (row) => `silenced${row.detail?.comment ? `: ${row.detail.comment}` : ""}`,
    "silence.end": () => "silence ended",
    "config.reload": () => "configuration read again",
};

// Rows of the audit log that concern this model, as events of the last lane.
export function changes_of(rows, model) {
    const named = `model="${model}"`;
    const concerns = (row) => row.subject === model || row.action.startsWith("config.") ||
        (row.action.startsWith("silence.") && (row.detail?.matchers ?? []).includes(named));
    return rows.filter((row) => words_of_action[row.action] && concerns(row))
        .map((row) => ({ kind: "change", at: row.at, to: null, text: words_of_action[row.action](row), by: row.who }));
}

// Changes of rates and distributions that detectors found (GET …/changes): from about where they began.
export function shifts_of(items) {
    const how = { up: "went up", down: "went down", shape: "is distributed otherwise" };
    const against = (r) => (r?.id ? `, against reference ${r.id}` : r?.to ? `, against the ${r.n} events until ${format.clock_time(r.to)}` : "");
    return items.map((c) => ({ kind: "shift", at: c.began ?? c.at, to: null, bad: c.stream === "error_rate" && c.direction === "up",
        text: `${c.version ? `${c.version}: ` : ""}${c.stream}${c.segment ? ` of ${c.segment}` : ""} ${how[c.direction] ?? "changed"}, found ${format.clock_time(c.at)}${against(c.reference)}` }));
}

// Spans that overlap stand below each other, in as few lanes as that takes, of which the last takes what is left.
function in_lanes(events) {
    const lanes = [];
    for (const e of events) {
        const free = lanes.find((lane) => e.to === null || lane.at(-1).to === null || lane.at(-1).to <= e.at);
        if (free) free.push(e);
        else if (lanes.length < MOST_LANES) lanes.push([e]);
        else lanes.at(-1).push(e);
    }
    return lanes;
}

// One more moment at a mark, which shows the newest of the worst: a rollback, not the step before it.
function join(mark, event) {
    const { x, end, more, ...shown } = mark;
    const worse = Number(event.bad ?? false) >= Number(shown.bad ?? false);
    Object.assign(mark, { index: undefined, bad: undefined }, worse ? event : shown, { more: [...more, worse ? shown : event] });
}

const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);
const line_of = (e) => `${format.time(e.at)}${e.to ? ` to ${format.time(e.to)}` : ""} ${e.text}${e.by ? ` by ${e.by}` : ""}`;

export class Happened {
    constructor() {
        this.events = [];
        this.picture = h("div", {});
        const files = save_buttons("what happened", { csv: () => this.rows(), json: () => this.events, png: () => save_svgs("what-happened", "What happened", this.box) });
        this.element = h("section", { class: "chart happened", "aria-label": "What happened", hidden: true }, h("header", {}, h("h2", {}, "What happened"), files), this.picture);
        this.resizer = new ResizeObserver(() => this.picture.clientWidth !== this.width && this.draw());
        this.resizer.observe(this.element);
    }
    destroy() { this.resizer.disconnect(); }

    // events: [{kind, at, to, text, by, index, bad}], `to` null: a moment; from, to: the charts' range
    update({ events, from, to }) {
        this.events = events.filter((e) => e.at < to && (e.to ?? e.at) >= from).sort((a, b) => a.at - b.at);
        Object.assign(this, { from, to });
        this.element.hidden = this.events.length === 0;
        this.draw();
    }

    draw() {
        this.width = this.picture.clientWidth;
        if (this.element.hidden || !this.width) return;
        const lanes = Object.keys(kinds).flatMap((kind) => in_lanes(this.events.filter((e) => e.kind === kind)).map((events, i) => ({ kind, events, title: i ? "" : kinds[kind] })));
        const width = Math.max(280, this.width), ground = lanes.length * LANE + 4, height = ground + AXIS;
        this.x = (ms) => LEFT + ((Math.max(this.from, Math.min(this.to, ms)) - this.from) / (this.to - this.from)) * (width - LEFT - RIGHT);
        this.box = svg("svg", { class: "over-time", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `What happened. ${this.events.map(line_of).join(". ")}.` });
        this.draw_axis(width, ground, height);
        lanes.forEach((lane, i) => this.draw_lane(lane, i * LANE + 4 + LANE / 2, width));
        this.line = svg("line", { class: "cross", x1: 0, x2: 0, y1: 2, y2: ground, visibility: "hidden" });
        this.box.append(this.line);
        replace(this.picture, this.box);
    }

    draw_axis(width, ground, height) {
        this.box.append(svg("text", { x: 0, y: height - 4 }, svg("title", {}, `times in ${format.zone_title}`), cut(format.zone_title.split(", ").at(-1), 10)));
        const n = Math.max(2, Math.min(8, Math.floor((width - LEFT) / 130))), span = this.to - this.from;
        for (let i = 0; i <= n; i++) {
            const at = this.from + (span * i) / n, x = this.x(at);
            this.box.append(svg("line", { class: "grid", x1: x, x2: x, y1: 2, y2: ground }),
                svg("text", { x, y: height - 4, "text-anchor": i === 0 ? "start" : i === n ? "end" : "middle" }, span > 2 * format.DAY ? format.day_name(at) : format.clock_time(at)));
        }
    }

    // Moments that would lie on each other are one mark, which says how many more there are.
    marks_of(events) {
        const marks = [];
        for (const e of events) {
            const x = this.x(e.at), last = marks.at(-1);
            if (last && e.to === null && last.to === null && x - last.x < 9) join(last, e);
            else marks.push({ ...e, x, end: e.to === null ? x : Math.max(x + 3, this.x(e.to)), more: [] });
        }
        return marks;
    }

    draw_lane({ kind, events, title }, y, width) {
        const marks = this.marks_of(events);
        let taken = LEFT; // where the words that stand already end
        this.box.append(svg("text", { x: 0, y: y + 4 }, title), svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
        marks.forEach((m, i) => {
            const group = svg("g", { class: `event ${kind}${m.bad ? " bad" : ""}` }, svg("title", {}, [m, ...m.more].map(line_of).join("\n")), this.shape(m, y));
            if (m.index !== undefined) group.style.setProperty("--mark", colour(m.index));
            this.box.append(group);
            taken = this.name(group, m, y, Math.max(taken, marks[i - 1]?.end ?? LEFT), marks[i + 1]?.x ?? width);
        });
    }

    shape({ x, end, to, kind, bad }, y) {
        if (to !== null) return svg("rect", { x, y: y - 5, width: end - x, height: 10 });
        if (kind === "step") return svg("path", { d: bad ? `M${x - 5} ${y - 5}h10l-5 10z` : `M${x - 5} ${y + 5}h10l-5-10z` });
        if (kind === "deploy") return svg("circle", { cx: x, cy: y, r: 5 });
        return svg("path", { d: `M${x} ${y - 6}l6 6l-6 6l-6-6z` });
    }

    // The words of a mark: to its right, else, where nothing stands there, to its left, else cut.
    // Gives where they end.
    name(group, mark, y, before, after) {
        const text = cut(mark.text, 60) + (mark.more.length ? ` and ${mark.more.length} more` : ""), needed = text.length * 6.6;
        const right = after - mark.end - 14, left = mark.x - before - 14;
        if (needed > right && needed < left) {
            group.append(svg("text", { x: mark.x - 9, y: y + 4, "text-anchor": "end" }, text));
            return mark.end;
        }
        if (right <= 26) return this.inside(group, mark, y, text);
        const shown = cut(text, Math.floor(right / 6.6));
        group.append(svg("text", { x: mark.end + 8, y: y + 4 }, shown));
        return mark.end + 8 + shown.length * 6.6;
    }

    // A span that fills its lane has its words on it.
    inside(group, mark, y, text) {
        const room = Math.floor((mark.end - mark.x - 12) / 6.6);
        if (mark.to !== null && room > 3) group.append(svg("text", { class: "inside", x: mark.x + 6, y: y + 4 }, cut(text, room)));
        return mark.end;
    }

    // The cross-hair of the charts, here too; null: off.
    cross(ms) {
        if (!this.line || this.element.hidden) return;
        this.line.setAttribute("visibility", ms === null ? "hidden" : "visible");
        if (ms !== null) this.line.setAttribute("transform", `translate(${this.x(ms)} 0)`);
    }

    rows() {
        return [["from", "to", "kind", "what", "by"], ...this.events.map((e) => [format.utc(e.at), e.to === null ? "" : format.utc(e.to), kinds[e.kind], e.text, e.by ?? ""])];
    }
}
