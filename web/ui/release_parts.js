// What is known of a release now: the words, the forest of intervals, the split, the evidence of
// each transition. All values are those of the engine's verdict; nothing is computed again.
import { h, svg } from "./dom.js";
import * as format from "./format.js";
import { p_text } from "./distribution.js";
import { href } from "./route.js";

export const words_of_state = { draft: ["idle", "draft"], running: ["info", "running"], paused: ["warn", "paused"], promoted: ["good", "promoted"], rolled_back: ["bad", "rolled back"] };
export const words_of_status = {
    continue: ["", "open"], harmed: ["bad", "harmed"], limit_crossed: ["bad", "limit crossed"], non_inferior: ["good", "within the margin"],
    superior: ["good", "better"], undefined: ["warn", "undefined"], monitored: ["", "watched"],
};

export function badge(words) {
    return h("span", { class: `badge ${words[0]}` }, h("i", { "aria-hidden": "true" }), words[1]);
}
export const is_held = (e) => e.state === "running" && e.verdict?.verdict === "hold";
export const state_badge = (e) => [badge(e.frozen ? ["warn", "frozen"] : words_of_state[e.state] ?? ["", e.state]), is_held(e) ? badge(["warn", "held"]) : null];

// A release that is under way, or was taken back within the day: who asks at night asks that first.
export const worth_telling = (e) => ["running", "paused"].includes(e.state) || (e.state === "rolled_back" && Date.now() - e.since < format.DAY);

export function release_link(e) {
    const [level, word] = is_held(e) ? ["warn", "held"] : words_of_state[e.state];
    const what = { running: is_held(e) ? `${e.treatment} held at ${e.weight} %` : `${e.treatment} gets ${e.weight} %`, rolled_back: `${e.treatment} rolled back` }[e.state] ?? `${e.treatment} ${word}`;
    return h("a", { href: href(["releases", e.name]), title: `${e.name}: ${e.verdict?.reason || word}`, class: "alert-link" }, badge([level, what]));
}

// A latency quantile is judged by the share of requests slower than it, an error rate by units.
export const meaning = (metric) => (/^latency_p/.test(metric) ? `judged by requests slower than control's ${metric.slice(8)}` : /^error_rate/.test(metric) ? "units that ever failed; what decides is sharper than the interval" : "");
export const kind_of = (metric) => (/^latency_/.test(metric) ? "ms" : /_rate(\{|$)/.test(metric) ? "percent" : "number");

export const known = (v) => v !== null && v !== undefined;

// In percent the difference of two shares is in points.
export function value_text(metric, v, half = 0) {
    if (!known(v)) return "–";
    if (kind_of(metric) === "percent") return `${Number((v * 100).toFixed(half > 0 && half < 0.001 ? 3 : 2))} %`;
    return format.value(v, kind_of(metric), half);
}
export function difference_text(metric, v, half = 0) {
    if (!known(v)) return "–";
    const sign = v > 0 ? "+" : v < 0 ? "−" : "";
    return `${sign}${value_text(metric, Math.abs(v), half)}`.replace(" %", " pp");
}
export function interval_text(metric, m) {
    if (!known(m.lower) && !known(m.upper)) return /^latency_p/.test(metric) ? "" : "no interval yet";
    const half = known(m.lower) && known(m.upper) ? (m.upper - m.lower) / 2 : 0;
    return `${known(m.lower) ? difference_text(metric, m.lower, half) : "−∞"} to ${known(m.upper) ? difference_text(metric, m.upper, half) : "∞"}`;
}

// Where a metric may still go on (`margin`) and where harm begins (`harm`), as a difference of
// treatment − control on the metric's own axis; null where it has none there.
export function margins(asked, control) {
    if (!asked) return { margin: null, harm: null };
    const sign = asked.direction === "lower" ? 1 : -1;
    const of = (absolute, relative) => (known(absolute) && absolute !== 0 ? absolute : known(relative) && known(control) ? relative * Math.abs(control) : known(absolute) ? absolute : null);
    const margin = of(asked.margin, asked.margin_relative), harm = of(asked.harm_margin, asked.harm_margin_relative) ?? 0;
    return { margin: margin === null ? null : sign * margin, harm: sign * harm };
}
export const asked_of = (e, metric) => e.metrics.find((m) => m.metric === metric);

const WIDTH = 240, HEIGHT = 34;

// The interval against zero and the margin, on the row's own scale.
function forest(metric, asked, m) {
    const { margin, harm } = margins(asked, m.control?.value);
    const marks = [0, margin, harm].filter(known), ends = [m.lower, m.upper, m.difference].filter(known);
    const reach = Math.max(1e-12, ...marks.map(Math.abs)) * 3, most = Math.max(...ends.concat(marks).map(Math.abs), 1e-12);
    const limit = Math.min(most, Math.max(reach, known(m.difference) ? Math.abs(m.difference) * 1.5 : 0)) * 1.08;
    const x = (v) => WIDTH / 2 + (Math.max(-limit, Math.min(limit, v)) / limit) * (WIDTH / 2 - 6), y = HEIGHT / 2;
    const words = `${metric}: difference ${difference_text(metric, m.difference)}, ${interval_text(metric, m)}${margin === null ? "" : `, margin ${difference_text(metric, margin)}`}`;
    const box = svg("svg", { class: `forest ${words_of_status[m.status]?.[0] ?? ""}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": words });
    box.append(svg("line", { class: "zero", x1: x(0), x2: x(0), y1: 2, y2: HEIGHT - 2 }));
    if (margin !== null) box.append(svg("line", { class: "margin", x1: x(margin), x2: x(margin), y1: 2, y2: HEIGHT - 2 }));
    if (known(m.lower) || known(m.upper)) {
        const low = known(m.lower) ? m.lower : -limit * 2, high = known(m.upper) ? m.upper : limit * 2;
        box.append(svg("line", { class: "reach", x1: x(low), x2: x(high), y1: y, y2: y }));
        for (const [v, way] of [[low, 1], [high, -1]]) // an arrow where it goes on beyond the scale
            box.append(svg("path", { class: "end", d: Math.abs(v) > limit ? `M${x(v) + way * 5} ${y - 5}L${x(v)} ${y}L${x(v) + way * 5} ${y + 5}` : `M${x(v)} ${y - 5}V${y + 5}` }));
    }
    if (known(m.difference)) box.append(svg("path", { class: "point", d: `M${x(m.difference)} ${y - 5}l5 5-5 5-5-5z` }));
    return box;
}

// How much of the evidence that decides is there.
function evidence(e, m) {
    const wanted = Math.log(1 / e.alpha);
    const bar = (name, log_e, level) => (known(log_e) ? h("div", { class: "evidence", title: `log evidence ${log_e.toFixed(2)} of ${wanted.toFixed(2)}` },
        h("span", {}, name), h("meter", { min: "0", max: "1", value: String(Math.max(0, Math.min(1, log_e / wanted))), class: level, "aria-label": `evidence: ${name}` }), h("span", { class: "n" }, log_e >= wanted ? "shown" : `${Math.max(0, Math.round((100 * log_e) / wanted))} %`)) : null);
    return [bar("safe", m.log_e_non_inferior, "good"), bar("harm", m.log_e_harm, "bad")];
}

const roles = [["guardrail", "Guardrails"], ["primary", "Primary"], ["monitor", "Only watched"]];

export function forest_table(e, verdict) {
    const line = (m) => {
        const asked = asked_of(e, m.metric), { margin } = margins(asked, m.control?.value);
        return h("tr", {},
            h("th", { scope: "row" }, h("code", {}, m.metric), h("small", {}, [meaning(m.metric), asked ? `${asked.direction} is better` : ""].filter(Boolean).join(" · "))),
            h("td", { class: "number" }, value_text(m.metric, m.control.value), h("small", {}, `n ${format.count(m.control.n)}`)),
            h("td", { class: "number" }, value_text(m.metric, m.treatment.value), h("small", {}, `n ${format.count(m.treatment.n)}`)),
            h("td", {}, forest(m.metric, asked, m)),
            h("td", { class: "number" }, h("b", {}, difference_text(m.metric, m.difference)), h("small", {}, interval_text(m.metric, m)), margin === null ? null : h("small", {}, `margin ${difference_text(m.metric, margin)}`)),
            h("td", {}, m.role === "monitor" ? null : evidence(e, m)),
            h("td", {}, badge(words_of_status[m.status] ?? ["", m.status]), h("small", {}, m.why ?? (known(m.p_value) && m.role !== "monitor" ? `p of harm ${p_text(m.p_value)}` : ""))));
    };
    const group = ([role, title]) => {
        const rows = verdict.metrics.filter((m) => m.role === role);
        return rows.length ? [h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: "7" }, title)), rows.map(line)] : null;
    };
    return h("section", { class: "block", "aria-label": "Metrics now" },
        h("div", { class: "block-head" }, h("h2", {}, "Metrics now"), h("p", {}, `treatment − control; intervals at ${Math.round((1 - e.alpha) * 100)} %, valid however often one looks · dashed: the margin`)),
        h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain metrics-now" }, h("caption", { class: "unseen" }, "Each metric's difference, interval and status"),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), h("th", { scope: "col", class: "number" }, e.control), h("th", { scope: "col", class: "number" }, e.treatment), h("th", { scope: "col" }, "Interval"), h("th", { scope: "col", class: "number" }, "Difference"), h("th", { scope: "col" }, "Evidence"), h("th", { scope: "col" }, "Status"))),
            h("tbody", {}, roles.map(group)))));
}

// The treatment's share of the compared units at a weight.
export const expected_share = (e, weight) => (e.control_share === "equal" && weight < 50 ? 0.5 : weight / 100);

export function split_part(e, verdict, weight) {
    const { units, srm } = verdict, all = units.control + units.treatment;
    const expected = expected_share(e, weight);
    const fact = (name, text, why, level) => h("div", { class: "fact", title: why }, h("dt", {}, name), h("dd", { class: level }, text));
    const percent = (v) => `${Number((v * 100).toFixed(2))} %`;
    return h("section", { class: "block", "aria-label": "Split" }, h("h2", {}, "Did the split work?"),
        h("dl", { class: "facts inner" },
            fact(`units of ${e.control}`, format.count(units.control), "control, in this step"), fact(`units of ${e.treatment}`, format.count(units.treatment), "treatment, in this step"),
            fact("share of treatment", all ? `${percent(units.treatment / all)} of ${percent(expected)}` : "–", "seen, of what the weight asks for"),
            fact("sample ratio", srm.status === "mismatch" ? "mismatch" : `ok, p ${p_text(srm.p_value)}`, `sequential test; below 0.001 it holds the release. Chi-squared of this step: p ${p_text(srm.chi2_p_value)}`, srm.status === "mismatch" ? "bad" : null),
            fact("crossovers", format.count(verdict.crossovers), "units seen in an arm other than their bucket's; left out of the comparison", verdict.crossovers > all * 0.01 && verdict.crossovers > 10 ? "bad" : null)));
}

export function bayes_part(verdict) {
    const rows = verdict.metrics.filter((m) => known(m.chance_to_win));
    if (!rows.length) return null;
    return h("section", { class: "block", "aria-label": "Bayesian summary" }, h("div", { class: "block-head" }, h("h2", {}, "Bayesian summary"), h("p", {}, "beside, never deciding")),
        h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain dense" }, h("caption", { class: "unseen" }, "Chance to win and expected loss"),
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), h("th", { scope: "col", class: "number" }, "chance that treatment is better"), h("th", { scope: "col", class: "number" }, "expected loss"))),
            h("tbody", {}, rows.map((m) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, m.metric)), h("td", { class: "number" }, m.chance_to_win > 0.999 ? "> 99.9 %" : m.chance_to_win < 0.001 ? "< 0.1 %" : `${(m.chance_to_win * 100).toFixed(1)} %`),
                h("td", { class: "number" }, value_text(m.metric, m.expected_loss, 1e-4))))))));
}

export const transition_words = {
    start: "started", advance: "went on to", promote: "promoted", rollback: "rolled back", hold: "held", pause: "paused", resume: "resumed", jump: "jumped to", freeze: "frozen", approve: "approved a step", continue: "was no longer held",
};

// Since when it is held without a break; null: it is not.
export function held_since(transitions) {
    const last = transitions.findLastIndex((t) => t.verdict !== "hold");
    return transitions[last + 1]?.at ?? null;
}

// Holds of the engine one after the other, and their ends, are one entry: [{rows}], the newest first in each.
function folded(transitions) {
    const of_hold = (t) => t.who === "engine" && ["hold", "continue"].includes(t.verdict);
    return [...transitions].reverse().reduce((entries, t) => {
        const last = entries.at(-1);
        if (last && of_hold(t) && of_hold(last[0])) last.push(t);
        else entries.push([t]);
        return entries;
    }, []);
}

// What held it, without the numbers that differ each time, the most frequent first.
function reasons_of(holds) {
    const counts = new Map();
    for (const { reason } of holds) {
        const [what, figures] = reason.split(/:(.*)/s), name = /\d/.test(figures ?? "") ? what : reason;
        counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts].sort(([, a], [, b]) => b - a);
}

function where_to(t) {
    if (t.verdict === "advance" || t.verdict === "jump" || t.verdict === "start") return ` ${t.verdict === "start" ? "at " : ""}${t.to.weight} %`;
    return t.from.weight === t.to.weight ? "" : `, ${t.from.weight} % → ${t.to.weight} %`;
}

// Newest first: what, by whom, why, on which numbers, and where in the audit log.
export function history_part(e, transitions, opened) {
    const numbers = (metrics) => h("table", { class: "plain dense" }, h("thead", {}, h("tr", {}, ["Metric", e.control, e.treatment, "Difference", "Interval", "Status"].map((t, i) => h("th", { scope: "col", class: i && i < 4 ? "number" : null }, t)))),
        h("tbody", {}, metrics.map((m) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, m.metric)), h("td", { class: "number" }, value_text(m.metric, m.control.value), h("small", {}, `n ${format.count(m.control.n)}`)), h("td", { class: "number" }, value_text(m.metric, m.treatment.value), h("small", {}, `n ${format.count(m.treatment.n)}`)),
            h("td", { class: "number" }, difference_text(m.metric, m.difference)), h("td", {}, interval_text(m.metric, m)), h("td", {}, words_of_status[m.status]?.[1] ?? m.status)))));
    const facts = (versions) => Object.entries(versions ?? {}).map(([version, f]) => h("p", {}, h("b", {}, version), ": ", Object.entries(f ?? {}).map(([k, v]) => `${k} ${v}`).join(" · ")));
    const line = (t) => {
        const verdict = t.evidence?.verdict, by_engine = t.who === "engine";
        return h("li", { class: t.verdict }, h("time", { title: `${format.utc(t.at)}${t.clock === "wall" ? ", by the wall clock" : ""}` }, format.time(t.at)), h("i", { "aria-hidden": "true" }),
            h("div", {}, h("b", {}, transition_words[t.verdict] ?? t.verdict, where_to(t)), by_engine ? " by the engine" : [" by ", h("b", {}, t.who)], t.clock === "wall" && by_engine ? " (wall clock)" : "", t.reason ? `: ${t.reason}` : "",
                h("details", { open: opened.has(t.seq), ontoggle: (event) => (event.target.open ? opened.add(t.seq) : opened.delete(t.seq)) }, h("summary", {}, "Evidence"),
                    verdict?.metrics?.length ? h("div", { class: "scroll", tabindex: "0" }, numbers(verdict.metrics)) : h("p", {}, "Nothing had been measured yet."),
                    verdict?.units ? h("p", {}, `${format.count(verdict.units.control)} + ${format.count(verdict.units.treatment)} units, sample ratio p ${p_text(verdict.srm?.p_value)}`) : null,
                    facts(t.evidence?.versions),
                    t.audit ? h("p", { class: "audit" }, `Audit row ${t.audit.seq}, hash `, h("code", {}, t.audit.hash)) : null)));
    };
    const held = (rows) => {
        const holds = rows.filter((t) => t.verdict === "hold"), [newest] = holds, oldest = holds.at(-1), key = `held-${oldest.seq}`;
        const over = rows[0].verdict === "continue" ? rows[0] : null;
        return h("li", { class: "hold" }, h("time", { title: format.utc(newest.at) }, format.time(newest.at)), h("i", { "aria-hidden": "true" }),
            h("div", {}, h("b", {}, `held ${holds.length} times`), " by the engine, ", h("time", { title: `${format.utc(oldest.at)} to ${format.utc((over ?? newest).at)}` }, `${format.time(oldest.at)} – ${over ? format.time(over.at) : `${format.time(newest.at)}, the last of them`}`),
                ": ", reasons_of(holds).map(([reason, n], i) => [i ? ", " : "", reason, ` (${n}\u00a0×)`]), h("small", { class: "newest" }, `newest: ${newest.reason}`),
                h("details", { open: opened.has(key), ontoggle: (event) => event.target.parentNode && (event.target.open ? opened.add(key) : opened.delete(key)) }, h("summary", {}, "Each of them"), h("ol", { class: "within" }, rows.map(line)))));
    };
    return h("section", { class: "part", "aria-label": "What happened" },
        h("div", { class: "part-head" }, h("h2", {}, "What happened"), h("span", { class: "chart-tools" }, h("a", { class: "quiet", download: `${e.name} history.json`, href: `/api/v1/experiments/${encodeURIComponent(e.name)}/history?full=1`, title: "with all that is needed to compute the verdicts again" }, "Full JSON"))),
        transitions.length ? h("ol", { class: "timeline transitions", "aria-label": "Transitions, newest first" }, folded(transitions).map((rows) => (rows.filter((t) => t.verdict === "hold").length > 1 ? held(rows) : rows.map(line)))) : h("p", { class: "message" }, "It has not been started."));
}

export const model_line = (e) => [h("a", { href: href(["models", e.model]) }, e.model), ` · ${e.control} → ${e.treatment}`];
