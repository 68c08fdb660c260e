// What lies over and under the lines of a chart: when alerts fired and at which level, when versions
// first served and releases moved, and the points and intervals that no line could show.
import * as format from "./format.js";
import { colour, css } from "./palette.js";

const ROW = 13; // px of a row of words above the plot
const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

// The rows of words that stand above the plot: those of releases next to it, versions over them.
const rows_of = (marks) => [marks.some((m) => m.step) ? "step" : null, marks.some((m) => !m.step) ? "version" : null].filter(Boolean);
export const room_for_marks = (marks) => rows_of(marks).length * ROW;

const words_of = (mark) => (mark.step ? `▸ ${cut(mark.text, 16)}` : cut(mark.text, 18));

// What went wrong is named first: where two words would lie on each other, the other one stays away.
function in_order(marks) {
    return [...marks].sort((a, b) => Number(b.bad ?? false) - Number(a.bad ?? false) || a.at - b.at);
}

export function draw_marks(u, marks) {
    const { left, top, width, height } = u.bbox, context = u.ctx, dpr = devicePixelRatio;
    const rows = rows_of(marks), taken = rows.map(() => []);
    context.save();
    context.font = `${11 * dpr}px system-ui, sans-serif`;
    context.textBaseline = "alphabetic";
    context.lineWidth = dpr;
    for (const mark of in_order(marks)) {
        const x = u.valToPos(mark.at, "x", true), row = rows.indexOf(mark.step ? "step" : "version");
        if (x < left + 1 || x > left + width) continue;
        context.strokeStyle = context.fillStyle = mark.bad ? css("--bad") : colour(mark.index);
        context.setLineDash(mark.bad ? [] : [2 * dpr, 3 * dpr]);
        context.beginPath();
        context.moveTo(x, top - 2 * dpr);
        context.lineTo(x, top + height);
        context.stroke();
        const text = words_of(mark), wide = context.measureText(text).width, right = x + wide > left + width;
        const from = right ? x - wide : x, to = from + wide + 6 * dpr;
        if (taken[row].some(([a, b]) => from < b && to > a)) continue;
        taken[row].push([from, to]);
        context.textAlign = right ? "right" : "left";
        context.fillText(text, x, top - (4 + ROW * row) * dpr);
    }
    context.restore();
}

export function draw_spans(u, spans) {
    const { left, top, width, height } = u.bbox, context = u.ctx, dpr = devicePixelRatio;
    const within = (ms, otherwise) => (ms === null ? otherwise : Math.max(left, Math.min(left + width, u.valToPos(ms, "x", true))));
    context.save();
    context.fillStyle = css("--bad");
    for (const span of spans) {
        const from = within(span.from, left), wide = Math.max(2 * dpr, within(span.to, left + width) - from);
        context.globalAlpha = 0.13;
        context.fillRect(from, top, wide, height);
        context.globalAlpha = 1;
        context.fillRect(from, top + height - 3 * dpr, wide, 3 * dpr);
    }
    context.restore();
}

// Over the lines, on a ground of their own: a level is read where it stands.
export function draw_levels(u, levels, kind) {
    const { left, width } = u.bbox, context = u.ctx, dpr = devicePixelRatio;
    context.save();
    context.font = `600 ${11 * dpr}px system-ui, sans-serif`;
    context.textAlign = "left"; // the axes leave theirs
    context.textBaseline = "alphabetic";
    context.lineWidth = dpr;
    context.strokeStyle = css("--bad");
    context.setLineDash([6 * dpr, 4 * dpr]);
    for (const { rule, data } of levels) {
        const y = u.valToPos(data.level, "y", true), text = `${cut(rule, 24)} ${format.value(data.level, kind)}`;
        context.beginPath();
        context.moveTo(left, y);
        context.lineTo(left + width, y);
        context.stroke();
        context.globalAlpha = 0.8;
        context.fillStyle = css("--panel");
        context.fillRect(left + 2 * dpr, y - 15 * dpr, context.measureText(text).width + 5 * dpr, 13 * dpr);
        context.globalAlpha = 1;
        context.fillStyle = css("--bad");
        context.fillText(text, left + 4 * dpr, y - 4 * dpr);
    }
    context.restore();
}

// The points that stand alone, between windows without a value: a line has no length there.
export function lone(values) {
    const known = (v) => v !== null && v !== undefined;
    return values.flatMap((v, i) => (known(v) && !known(values[i - 1]) && !known(values[i + 1]) ? [i] : []));
}

// The intervals of points that stand alone, as bars: a band has no width there.
export function draw_lone_intervals(u, rows) {
    const context = u.ctx, dpr = devicePixelRatio;
    const y = (v) => Math.max(u.bbox.top, Math.min(u.bbox.top + u.bbox.height, u.valToPos(v, "y", true)));
    context.save();
    context.lineWidth = 1.5 * dpr;
    rows.forEach((row, i) => {
        const [lower, upper, values] = [1, 2, 3].map((k) => u.data[3 * i + k]);
        context.strokeStyle = colour(row.index);
        for (const at of lone(values).filter((k) => lower[k] !== null && upper[k] !== null)) {
            const x = u.valToPos(u.data[0][at], "x", true);
            context.beginPath();
            context.moveTo(x, y(lower[at]));
            context.lineTo(x, y(upper[at]));
            context.stroke();
        }
    });
    context.restore();
}
