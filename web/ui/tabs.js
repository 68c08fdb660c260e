// The head of a model's pages: its name, the way to the sister pages, and what to do when the range
// that was asked for is silent. What the URL says of slice and range goes along.
import { h } from "./dom.js";
import * as format from "./format.js";
import { change, href } from "./route.js";

const tabs = [["", "Over time"], ["drift", "Drift"], ["compare", "Compare"]];

export function model_head(model, here, params, ...more) {
    const { segment, range } = params;
    return [
        h("h1", {}, model.name, segment ? h("small", {}, ` ${segment}`) : null), more,
        h("nav", { class: "tabs", "aria-label": "Pages of this model" }, tabs.map(([part, title]) =>
            h("a", { href: href(part ? ["models", model.name, part] : ["models", model.name], { segment, range }), "aria-current": part === here ? "page" : null }, title))),
    ];
}

// Nothing was predicted between view.from and view.to: where the newest events are.
export function quiet_range(model, view) {
    const newest = model.last_event, span = view.to - view.from, step = view.window;
    const go = () => change({ from: Math.max(1, Math.ceil((newest + 1) / step) * step - span), to: Math.ceil((newest + 1) / step) * step, at: "" });
    const elsewhere = newest !== null && (newest < view.from || newest >= view.to);
    return h("section", { class: "message" }, h("h2", {}, "No predictions in this range"),
        newest === null ? h("p", {}, "This model has sent nothing yet. What arrives, and what is refused, is on the ", h("a", { href: "#/system" }, "System"), " page.")
            : h("p", {}, "The newest event is from ", h("time", { title: format.utc(newest) }, format.time(newest)), "."),
        elsewhere ? h("p", {}, h("button", { type: "button", onclick: go }, "Show the newest")) : newest === null ? null : h("p", {}, "Choose a longer range, or another version or slice."));
}
