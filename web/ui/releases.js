// Every release in a line: where it stands on its ramp, and what was decided last.
import { get } from "./api.js";
import { h, redraw, replace, svg } from "./dom.js";
import { NOW, SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { model_line, state_badge } from "./release_parts.js";
import { href } from "./route.js";
import { sortable } from "./sort.js";

const rank = { running: 0, paused: 0, draft: 1, promoted: 2, rolled_back: 2 };

// The steps as a staircase; those that were reached are filled.
export function staircase(e, { width = 150, height = 34 } = {}) {
    const n = e.steps.length, w = width / n, final = e.state === "promoted";
    const reached = (i) => final || (["running", "paused"].includes(e.state) && i <= e.step);
    const box = svg("svg", { class: `staircase ${e.state}`, viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `steps ${e.steps.map((s) => `${s.weight} %`).join(", ")}; now ${e.weight} %` });
    e.steps.forEach((step, i) => {
        const tall = Math.max(3, (step.weight / 100) * (height - 4));
        box.append(svg("rect", { class: reached(i) ? "reached" : "ahead", x: i * w + 1, y: height - tall, width: w - 2, height: tall }));
    });
    return box;
}

function nothing() {
    const example = `curl ${location.origin}/api/v1/experiments -d '{"name":"credit-v4","model":"credit","control":"v3","treatment":"v4","start":true,\n "metrics":[{"metric":"error_rate","role":"guardrail","margin_relative":0.5}]}'`;
    return h("section", { class: "message" }, h("h2", {}, "No release yet"),
        h("p", {}, "A release is an experiment: a new version gets a little of the traffic, then more as its guardrails are shown safe, and none as soon as harm is shown. List one under ", h("code", {}, "experiments:"), " in ", h("code", {}, "assay.yaml"), ", or create one:"),
        h("pre", { tabindex: "0" }, example), h("p", {}, "Callers ask for assignments at ", h("code", {}, "/api/v1/experiments/credit-v4/assignment?unit=…"), " or by OFREP."));
}

export async function open(main, { signal }) {
    const message = h("div", {}), place = h("div", {}), lead = h("p", { class: "lead" });
    replace(main, h("div", { class: "page-head" }, h("h1", {}, "Releases"), lead), message, place);
    const line = (e) => h("tr", {},
        h("th", { scope: "row", "data-sort": e.name }, h("a", { href: href(["releases", e.name]) }, e.name), h("small", {}, model_line(e))),
        h("td", { "data-label": "state", "data-sort": `${rank[e.state]}${e.state}` }, h("div", { class: "badges" }, state_badge(e))),
        h("td", { "data-label": "ramp", "data-sort": e.weight }, h("div", { class: "cell" }, h("b", { class: "number" }, `${e.weight} %`), staircase(e))),
        h("td", { "data-label": "decided", "data-sort": e.verdict?.decided_at }, e.verdict?.verdict ? [h("span", {}, e.verdict.reason || e.verdict.verdict), h("small", { title: format.utc(e.verdict.decided_at) }, format.time(e.verdict.decided_at))] : h("small", {}, "nothing yet")),
        h("td", { "data-label": "since", class: "when", "data-sort": e.since, title: format.utc(e.since) }, format.time(e.since)));
    const load = async () => {
        const { items } = await get("/api/v1/experiments", {}, signal);
        replace(message, items.length ? null : nothing());
        const n = items.filter((e) => rank[e.state] === 0).length;
        lead.textContent = items.length ? `${n} under way, ${items.length} in all` : "";
        const sorted = [...items].sort((a, b) => rank[a.state] - rank[b.state] || b.since - a.since);
        redraw(place, items.length ? h("table", { class: "models releases" }, h("caption", { class: "unseen" }, "All releases"),
            h("thead", {}, h("tr", {}, ["Release", "State", "Treatment", "Last decision", "Since"].map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, sorted.map(line))) : null);
        if (items.length) sortable(place.querySelector("table"), "releases");
    };
    const hears = ({ type }) => (type === "transition" || type === "open" ? NOW : type === "window" ? SOON : null);
    await follow(signal, { load, message, hears });
}
