// Versions laid over each other since their releases: the same questions as by the clock, one a version, and each
// answer's windows counted from the one in which the version first served.

const down = (ms, to) => Math.floor(ms / to) * to;
const up = (ms, to) => Math.ceil(ms / to) * to;

// What to ask of each version that has served: {version, origin, from, to}.
export function releases_of(versions, { range, step, window }) {
    return versions.filter((v) => v.first_seen !== null).map((v) => {
        const origin = down(v.first_seen, step), end = up(v.last_seen + 1, step);
        const to = Math.max(origin + step, Math.min(origin + up(range, step), end));
        return { version: v.version, origin, from: Math.max(0, origin - (window - step)), to };
    });
}

const empty = { n: 0, labelled: 0, value: null, lower: null, upper: null, error_bound: 0 };

const used = (points) => points.findLastIndex((p) => p.n > 0) + 1;

// All rows as long as the longest that was served, so that the n-th point of each is as old.
function padded(series) {
    const rows = series.map((s) => s.points), most = Math.max(1, ...rows.map(used));
    const longest = rows.reduce((a, b) => (b.length > a.length ? b : a), []).slice(0, most);
    return series.map((s) => ({ ...s, points: longest.map((p, i) => s.points[i] ?? { ...empty, start: p.start, end: p.end, from: null, until: null }) }));
}

// One answer out of those of each release, on the time since it.
export function laid_over(answers, releases) {
    const series = answers.flatMap((answer, i) => {
        const { origin } = releases[i];
        return answer.series.map((s) => ({ ...s, points: s.points.map((p) => ({ ...p, start: p.start - origin, end: p.end - origin, from: p.start, until: p.end })) }));
    });
    const [first] = answers;
    const waits = ({ labels_complete_up_to: complete }, { to }) => complete !== null && complete < to;
    return {
        ...first, series: padded(series),
        complete: answers.every((a) => a.complete), incomplete_reasons: [...new Set(answers.flatMap((a) => a.incomplete_reasons))],
        complete_up_to: null, labels_complete_up_to: null, // by the clock: nothing of that stands on this axis
        waiting: releases.filter((release, i) => waits(answers[i], release)).map((r) => r.version), matured: first.labels_complete_up_to,
    };
}
