// What is wrong now, the worst first: what fires, where, since when, by how much and how sure, where it
// comes from, and whether the release behind it was taken back.
import { model_link, release_hash, segment_of, severities, severity_badge, value_of } from "./alerts_list.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { is_held, release_link, state_badge } from "./release_parts.js";
import { href } from "./route.js";

const MOST = 5; // lines; the Alerts page has all

export const ago = (ms) => (ms === null || ms === undefined || ms < 0 ? "–"
    : h("time", { title: format.utc(ms) }, format.time(ms), ` (${format.duration(Math.max(0, Date.now() - ms))} ago)`));

// An alert's own facts beside those of what it was found in.
export const facts_of = (alert) => ({ name: alert.rule, model: alert.model, version: alert.version, segment: alert.segment, since: alert.bad_since, fired: alert.since, ...alert.data });

export const slice_text = (data) => [data.version, segment_of(data.segment).replace(":", " = ")].filter(Boolean).join(" · ");

// What was measured, where a rule is about a value: not of a rollback, nor of a broken chain.
export function measured(data) {
    const { value, interval, level } = value_of(data), length = data.window ? data.window.end - data.window.start : 0;
    const bounded = level !== null && (data.metric || data.level !== 0);
    if (!data.metric && (data.value === null || data.value === undefined)) return null;
    const range = (text, title = null) => h("span", { class: "range", title }, text);
    return [data.metric ? [h("code", {}, data.metric), " ", h("b", {}, value)] : h("b", {}, value),
        interval ? range(` ${interval}`, "95% confidence interval") : null, bounded ? range(` · level ${level}`) : null,
        data.n ? range(` · n ${format.count(data.n)}`) : null, length > 0 ? range(` · over ${format.span_name(length)}`) : null];
}

// What was done about it: when it fired, as its message said, or since then.
function done(data, experiments) {
    const later = experiments.find((e) => e.model === data.model && e.state === "rolled_back" && e.since > data.fired);
    return later ? [`${later.treatment} was rolled back after it fired, `, ago(later.since)] : data.action;
}

// Where it comes from, and what was done.
export function background(data, experiments) {
    const what = done(data, experiments);
    return [data.cause ? h("p", { class: "cause" }, h("b", {}, "Where from: "), data.cause) : null,
        what ? h("p", { class: "what" }, h("b", {}, "Done: "), what) : null];
}

// The releases that an alert may be about: those of its model.
export const releases_of = (data, experiments) => experiments.filter((e) => e.model === data.model).map(release_link);

function alert_line(alert, experiments) {
    const data = facts_of(alert), slice = slice_text(data);
    return h("li", { class: alert.severity },
        h("p", { class: "attention-head" }, severity_badge(alert.severity), h("b", {}, alert.rule),
            data.model ? h("a", { href: model_link(data) }, data.model) : null, slice ? h("span", {}, slice) : null,
            release_hash(data) ? h("a", { href: release_hash(data) }, "see the release") : null,
            h("span", {}, measured(data) ?? data.summary), h("span", { class: "range" }, "since ", ago(alert.since)),
            alert.acked_by ? h("span", { class: "range" }, `acknowledged by ${alert.acked_by}`) : null, releases_of(data, experiments)),
        background(data, experiments));
}

function release_line(e) {
    return h("li", { class: e.state === "rolled_back" ? "critical" : "warning" },
        h("p", { class: "attention-head" }, state_badge(e), h("a", { href: href(["releases", e.name]) }, e.name), h("span", {}, `${e.control} → ${e.treatment}`),
            e.verdict?.reason ? h("span", {}, e.verdict.reason) : null, h("span", { class: "range" }, `${e.weight} % since `, ago(e.since))));
}

const urgency = (alert) => 2 * severities.indexOf(alert.severity) + (alert.acked_by ? 1 : 0);

// alerts: those that fire; experiments: worth_telling's. null: all is well.
export function attention(alerts, experiments) {
    const sorted = [...alerts].sort((a, b) => urgency(a) - urgency(b) || b.since - a.since);
    const releases = experiments.filter((e) => e.state === "rolled_back" || is_held(e));
    const lines = [...sorted.map((alert) => () => alert_line(alert, experiments)), ...releases.map((e) => () => release_line(e))];
    if (!lines.length) return null;
    const hidden = lines.length - MOST;
    return h("section", { class: "attention", "aria-label": "Needs attention" }, h("h2", {}, "Needs attention"),
        h("ol", {}, lines.slice(0, MOST).map((draw) => draw())),
        hidden > 0 ? h("p", {}, h("a", { href: href([alerts.length > MOST ? "alerts" : "releases"]) }, `and ${hidden} more`)) : null);
}
