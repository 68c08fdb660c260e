// What alerts are, for every page that shows them: words, marks, links, and when they fired.
import { h } from "./dom.js";
import * as format from "./format.js";
import { href } from "./route.js";

const ranges = ["1h", "6h", "24h", "3d", "7d", "30d", "90d"];
const windows = ["1m", "5m", "15m", "1h", "6h", "1d"];
const levels = { critical: "bad", error: "bad", warning: "warn", info: "info" };
export const severities = Object.keys(levels); // the worst first

// A word and a shape of its own for each severity, so that colour is never all there is.
export function severity_badge(severity) {
    return h("span", { class: `badge ${levels[severity] ?? "info"}` }, h("i", { "aria-hidden": "true" }), severity);
}

// Slices are "country=de" where they are kept, "country:de" where one asks.
export const segment_of = (slice) => (slice ?? "").replace("=", ":");

export function kind_of(metric) {
    const unit = /^latency_/.test(metric) ? "ms" : /_rate/.test(metric) ? "fraction" : /^count$/.test(metric) ? "count" : "";
    return format.kind_of(metric, unit);
}

export function value_of(data) {
    const kind = kind_of(data.metric ?? "");
    const point = { lower: data.lower ?? null, upper: data.upper ?? null };
    const level = typeof data.level === "number" ? format.value(data.level, kind) : null;
    return {
        value: format.value(data.value, kind, format.half_width(point)),
        interval: format.interval(point, kind),
        level: level === null ? null : data.relative ? `${format.value(data.level, "percent")} change` : level,
    };
}

// What a rule of GET /alerts/rules watches, in words.
export function condition_of(rule) {
    const bound = (word, level) => (level === null ? null : `${word} ${rule.relative ? `a change of ${format.value(level, "percent")}` : format.value(level, kind_of(rule.metric ?? ""))}`);
    const bounds = [bound("above", rule.above), bound("below", rule.below)].filter(Boolean).join(" or ");
    const what = {
        level: rule.metric, trend: `a trend of ${rule.metric}`, absent: "no data", drift: `drift of ${rule.feature ?? "the features"}`, lag: "how far reading is behind",
        quality: `values of ${rule.feature ?? "the features"}`, experiment: "what releases do", audit: "the chain of the audit log", certificate: "the end of a certificate",
        change: `a change of ${rule.metric ?? rule.feature ?? "what is watched by the event"}`,
    }[rule.kind] ?? rule.kind;
    return [what, bounds, rule.window > 0 ? `over ${format.span_name(rule.window)}` : "", rule.for > 0 ? `for ${format.duration(rule.for)}` : ""].filter(Boolean).join(" ");
}

// The release that an alert is about, as its message links to it; null: it is about none.
export const release_hash = (data) => /#\/releases.*$/.exec(data.url ?? "")?.[0] ?? null;

// The Model page on the alert's metric, version and slice: from well before it went bad up to now,
// or, once it is over (`until`), to its end; of drift, the Drift page as the message has it.
export function model_link(data, until = null) {
    const [, drift] = /(#\/models\/[^/?]+\/drift\?.*)$/.exec(data.url ?? "") ?? [];
    if (drift) return drift; // what moved is on a page of its own
    const length = data.window ? data.window.end - data.window.start : format.HOUR;
    const before = Math.max(12 * length, 2 * format.HOUR);
    const from = (data.since > 0 ? data.since : data.window?.start ?? Date.now()) - before;
    const range = ranges.find((r) => format.span_ms(r) >= Date.now() - from) ?? ranges.at(-1);
    const name = length > 0 && length % format.MINUTE === 0 ? format.span_name(length) : "";
    const when = until === null ? { range: range === "24h" ? "" : range } : { from: Math.max(1, from), to: until + before / 2 };
    return href(["models", data.model], {
        metrics: data.metric, version: data.version, segment: segment_of(data.segment),
        window: windows.includes(name) ? name : "", ...when,
    });
}

// Firing … resolved from the history (newest first): [{alert, rule, severity, from, to, data}];
// `to` null: it still fires; `from` null: it began before the history that was read.
export function spans_of(history) {
    const open = new Map(), spans = [];
    for (const event of [...history].reverse()) {
        const base = { alert: event.alert, rule: event.data.name ?? event.alert, severity: event.data.severity, data: event.data };
        if (event.event === "firing" && !open.has(event.alert)) {
            const span = { ...base, from: event.at, to: null };
            open.set(event.alert, span);
            spans.push(span);
        } else if (event.event === "resolved" || event.event === "withdrawn") {
            if (open.has(event.alert)) open.get(event.alert).to = event.at;
            else spans.push({ ...base, from: null, to: event.at });
            open.delete(event.alert);
        }
    }
    return spans;
}
