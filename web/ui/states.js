// What the page says when there is nothing, or when something failed: always with the next step.
import { h } from "./dom.js";

export function nothing_yet() {
    const example = `curl ${location.origin}/api/v1/events -d '{"type":"prediction","id":"1","model":"my-model","version":"v1","score":0.8}'`;
    return h("section", { class: "message" },
        h("h2", {}, "No model has sent anything yet"),
        h("p", {}, "Models appear here by themselves with their first event. Point Assay at your Kafka topics in ",
            h("code", {}, "assay.yaml"), ", or send one event by hand:"),
        h("pre", { tabindex: "0" }, example),
        h("p", {}, "A model that is not in the configuration is taken only with ", h("code", {}, "auto_models"), ". What was refused, and why, is on the ",
            h("a", { href: "#/system" }, "System"), " page."));
}

export function failed(error, again) {
    const advice = {
        0: null,
        401: "This daemon asks for a token. Open it through an address that signs you in, or send the token with your requests.",
        403: "Your token does not have the scope for this. Ask whoever runs Assay.",
        429: "Too many requests from this address. Wait a few seconds.",
    }[error.status];
    return h("section", { class: "message error", role: "alert" },
        h("h2", {}, error.status === 404 ? "Not found" : "That did not work"),
        h("p", {}, error.message),
        error.allowed?.length ? h("p", {}, "Allowed: ", h("code", {}, error.allowed.join(", "))) : null,
        advice ? h("p", {}, advice) : null,
        h("p", {}, h("button", { type: "button", onclick: again }, "Try again"), " ", h("a", { href: "#/" }, "Overview")));
}
