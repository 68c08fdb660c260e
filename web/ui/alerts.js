// What fires, who looks after it, what is silenced, and whether anybody was told.
import { get, send, session } from "./api.js";
import { condition_of, model_link, release_hash, segment_of, severities, severity_badge, value_of } from "./alerts_list.js";
import { ago, background, facts_of, measured, releases_of, slice_text } from "./attention.js";
import { h, plain_table, redraw, replace, settle } from "./dom.js";
import { NOW, SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { worth_telling } from "./release_parts.js";
import { href } from "./route.js";
import { sortable } from "./sort.js";

const words = {
    pending: "went bad", firing: "fired", resolved: "resolved", no_data: "lost its data",
    data_back: "has data again", withdrawn: "was withdrawn: its rule is gone",
};
const rank = Object.fromEntries(severities.map((severity, i) => [severity, i]));
const phases = { firing: 0, no_data: 1, pending: 2 };

function subject(data, link) {
    const slice = slice_text(data);
    return [data.model ? h("a", { href: link }, data.model) : null, slice ? ` ${slice}` : ""];
}

// Runs an operation; what the server says against it is shown next to the button.
async function operate(button, where, work, then) {
    button.disabled = true;
    try {
        await work();
        replace(where);
        await then();
    } catch (error) {
        replace(where, h("p", { class: "bad", role: "alert" }, error.message,
            error.allowed?.length ? ` Allowed: ${error.allowed.join(", ")}.` : ""));
    } finally {
        button.disabled = false;
    }
}

class Page {
    constructor(main, signal) {
        Object.assign(this, { main, signal });
        this.lead = h("p", { class: "lead", role: "status" });
        this.message = h("div", {});
        this.rights = h("div", {});
        this.begin_silence = h("button", { type: "button", id: "new-silence", disabled: true, onclick: () => this.ask_silence([]) }, "New silence");
        this.active = h("div", {});
        this.cards = h("ul", { class: "alerts" });
        this.silences = h("div", {});
        this.deliveries = h("div", {});
        this.history = h("div", {});
        this.rules = h("div", {});
        this.dialog = h("dialog", { "aria-labelledby": "silence-title" });
        this.said = { silence: h("div", {}), delivery: h("div", {}) };
        const section = (title, tool, ...content) => h("section", { class: "part", "aria-label": title },
            h("div", { class: "part-head" }, h("h2", {}, title), tool), content);
        replace(main, h("div", { class: "page-head" }, h("h1", {}, "Alerts"), this.lead), this.message, this.rights, this.active,
            section("Silences", this.begin_silence, this.said.silence, this.silences),
            section("Notifications", null, this.said.delivery, this.deliveries),
            section("History", null, this.history), section("Rules", null, this.rules), this.dialog);
    }

    async load() {
        const [who, alerts, history, silences, deliveries, rules, experiments] = await Promise.all([session(this.signal),
            get("/api/v1/alerts", {}, this.signal), get("/api/v1/alerts/history", { limit: 100 }, this.signal),
            get("/api/v1/silences", {}, this.signal), get("/api/v1/deliveries", { limit: 100 }, this.signal),
            get("/api/v1/alerts/rules", {}, this.signal), get("/api/v1/experiments", {}, this.signal)]);
        replace(this.message);
        this.may = who.scopes.includes("operate");
        this.begin_silence.disabled = !this.may;
        replace(this.rights, this.may ? null : h("p", { class: "what" }, "Your token may only read; acknowledging and silencing need the scope operate."));
        this.releases = experiments.items.filter(worth_telling);
        this.draw_active(alerts.items, history.items, rules.items);
        this.draw_silences(silences.items);
        this.draw_deliveries(deliveries.items);
        this.draw_history(history.items);
        this.draw_rules(rules.items);
    }

    draw_active(items, history, rules) {
        const sorted = [...items].sort((a, b) => (phases[a.state] - phases[b.state]) || (rank[a.severity] - rank[b.severity]) || (b.since ?? 0) - (a.since ?? 0));
        const n = items.filter((alert) => alert.state === "firing").length;
        const text = n ? `${n} firing${items.length > n ? `, ${items.length - n} pending or without data` : ""}` : items.length ? `nothing fires, ${items.length} pending or without data` : "nothing fires";
        if (this.lead.textContent !== text) this.lead.textContent = text;
        if (!items.length) {
            redraw(this.active, h("section", { class: "message" }, h("h2", {}, "Nothing fires"),
                rules.length ? h("p", { class: "good" }, `${format.things(rules.length, "rule")} ${rules.length === 1 ? "watches" : "watch"}; every one that could be judged is well. `, history.length ? "What happened before is below." : "None has ever fired.")
                    : [h("p", {}, "There is no rule: nothing can fire. Rules stand under ", h("code", {}, "alerts:"), " in ", h("code", {}, "assay.yaml"), ", for example:"),
                        h("pre", { tabindex: "0" }, "alerts:\n  - {name: auc-low, model: credit, metric: roc_auc, window: 1h, below: 0.80, for: 10m}"),
                        h("p", {}, "Then ", h("code", {}, "assay check assay.yaml"), " says whether the rule can be judged.")]));
            return;
        }
        settle(this.cards, sorted.map((alert) => this.card(alert)));
        settle(this.active, this.cards);
    }

    card(alert) {
        const data = facts_of(alert), value = measured(data), releases = releases_of(data, this.releases);
        const said = h("div", {}), firing = alert.state === "firing";
        const notes = Object.entries(data.annotations ?? {});
        const ack = (event) => operate(event.target, said, () => send("POST", `/api/v1/alerts/${encodeURIComponent(alert.id)}/ack`), () => this.load());
        return h("li", { class: `alert ${firing ? alert.severity : "waits"}` },
            h("div", { class: "alert-head" }, severity_badge(alert.severity), h("h2", {}, alert.rule),
                firing ? null : h("span", { class: "badge" }, alert.state === "pending" ? "pending" : "no data"),
                alert.flapping ? h("span", { class: "badge warn", title: "changed more than 6 times within an hour" }, "flapping") : null,
                h("span", { class: "about" }, subject(data, model_link(data)))),
            value || alert.no_data ? h("p", { class: "alert-value" }, value, alert.no_data && alert.state !== "no_data" ? h("span", { class: "bad" }, " · no data now; it stays as it was") : null) : null,
            data.summary ? h("p", {}, data.summary) : null,
            background(data, this.releases),
            notes.map(([key, text]) => h("p", { class: "what" }, `${key}: `, /^https?:\/\//.test(text) ? h("a", { href: text, rel: "noreferrer" }, text) : text)),
            h("p", { class: "what" }, firing ? "firing since " : "bad since ", ago(firing ? alert.since : alert.bad_since),
                alert.acked_by ? [" · acknowledged by ", h("b", {}, alert.acked_by), " ", ago(alert.acked_at)] : firing ? " · nobody has acknowledged it" : ""),
            releases.length ? h("p", { class: "what" }, "Now: ", releases) : null,
            h("div", { class: "actions" },
                firing && !alert.acked_by ? h("button", { type: "button", id: `ack-${alert.id}`, disabled: !this.may, "aria-label": `Acknowledge ${alert.rule}`, onclick: ack }, "Acknowledge") : null,
                h("button", { type: "button", id: `silence-${alert.id}`, disabled: !this.may, "aria-label": `Silence ${alert.rule}`, onclick: () => this.ask_silence(matchers_of(data)) }, "Silence…"),
                data.model ? h("a", { href: model_link(data), "aria-label": `See the chart of ${alert.rule}` }, "See the chart") : null,
                release_hash(data) ? h("a", { href: release_hash(data), "aria-label": `See the release of ${alert.rule}` }, "See the release") : null),
            said);
    }

    draw_silences(items) {
        if (!items.length) {
            redraw(this.silences, h("p", { class: "message" }, "No silence runs: whoever the routes name is told. Silence an alert above while you work on it."));
            return;
        }
        const end = (silence) => (event) => operate(event.target, this.said.silence, () => send("DELETE", `/api/v1/silences/${silence.id}`), () => this.load());
        redraw(this.silences, plain_table("Silences", ["Matches", "Until", "Who and why", ""], items.map((s) => h("tr", {},
            h("td", {}, s.matchers.map((m) => h("code", { class: "matcher" }, m))),
            h("td", {}, h("time", { title: format.utc(s.ends) }, format.time(s.ends)), h("small", {}, `${format.duration(Math.max(0, s.ends - Date.now()))} left`)),
            h("td", {}, h("b", {}, s.created_by), h("small", {}, s.comment)),
            h("td", { class: "number" }, h("button", { type: "button", id: `end-${s.id}`, disabled: !this.may, "aria-label": `End now: silence ${s.id}`, onclick: end(s) }, "End now"))))));
    }

    draw_deliveries(items) {
        if (!items.length) {
            redraw(this.deliveries, h("p", { class: "message" }, "Nobody was told anything yet. Receivers and routes stand under ", h("code", {}, "receivers:"), " and ", h("code", {}, "route:"), "."));
            return;
        }
        const again = (d) => (event) => operate(event.target, this.said.delivery, () => send("POST", `/api/v1/deliveries/${d.id}/again`), () => this.load());
        const state = (d) => ({ sent: h("span", { class: "badge good" }, h("i", { "aria-hidden": "true" }), "sent"),
            failed: h("span", { class: "badge bad" }, h("i", { "aria-hidden": "true" }), "failed") }[d.state] ?? h("span", { class: "badge" }, h("i", { "aria-hidden": "true" }), "waiting"));
        const order = { failed: 0, waiting: 1, sent: 2 };
        const came_back = (d, alike) => (d.status ? `HTTP ${d.status}` : d.attempts ? "no answer" : alike[0].state === "waiting" ? "waits behind an earlier one" : "–");
        redraw(this.deliveries, plain_table("Notifications", ["State", "To", "About", "When", "What came back", ""],
            alike_of([...items].sort((a, b) => order[a.state] - order[b.state])).map((alike) => [alike.reduce((a, b) => (b.attempts > a.attempts ? b : a)), alike]).map(([d, alike]) => h("tr", {},
                h("td", { "data-sort": order[d.state] }, state(d)), h("td", { "data-sort": d.receiver }, d.receiver),
                h("td", { "data-sort": d.type }, d.type.replace("alert.", ""), alike.length > 1 ? h("b", {}, ` × ${alike.length}`) : null, h("small", {}, d.group)),
                h("td", { "data-sort": alike[0].created, title: format.utc(alike[0].created) }, alike.length > 1 ? `${format.time(alike.at(-1).created)} – ` : "", format.time(alike[0].created), h("small", {}, `${format.things(d.attempts, "attempt")}${d.attempts && d.next ? `, next ${format.clock_time(d.next)}` : ""}`)),
                h("td", {}, came_back(d, alike), d.problem ? h("small", {}, d.problem) : null),
                h("td", { class: "number" }, d.state === "failed" ? h("button", { type: "button", id: `again-${d.id}`, disabled: !this.may, "aria-label": `Send again: notification ${d.id}`, onclick: again(d) }, "Send again") : null)))));
        sortable(this.deliveries.querySelector("table"), "notifications");
    }

    // What is watched, whether it ever fired or not.
    draw_rules(items) {
        if (!items.length) {
            redraw(this.rules, h("p", { class: "message" }, "No rule watches anything yet."));
            return;
        }
        const state = { firing: "bad", pending: "warn", no_data: "warn" };
        redraw(this.rules, plain_table("Rules", ["Rule", "State", "Watches", "Where", "Severity"], items.map((r) => h("tr", {},
            h("th", { scope: "row", "data-sort": r.name }, r.name),
            h("td", { "data-sort": phases[r.state] ?? 3 }, h("span", { class: `badge ${state[r.state] ?? ""}` }, h("i", { "aria-hidden": "true" }), r.state.replace("_", " "))),
            h("td", {}, condition_of(r)),
            h("td", { "data-sort": r.model ?? "" }, r.model ? h("a", { href: href(["models", r.model]) }, r.model) : "everything", slice_text(r) ? h("small", {}, slice_text(r)) : null),
            h("td", { "data-sort": rank[r.severity] }, severity_badge(r.severity))))));
        sortable(this.rules.querySelector("table"), "rules");
    }

    draw_history(items) {
        if (!items.length) {
            redraw(this.history, h("p", { class: "message" }, "Nothing happened yet."));
            return;
        }
        const line = (e) => {
            const { value, level } = value_of(e.data), over = e.event === "resolved" || e.event === "withdrawn";
            return h("li", { class: e.event }, h("time", { title: format.utc(e.at) }, format.time(e.at)), h("i", { "aria-hidden": "true" }),
                h("span", {}, h("b", {}, e.data.name ?? e.alert), ` ${words[e.event]}${e.data.model ? " · " : ""}`, subject(e.data, model_link(e.data, over ? e.at : null)),
                    e.data.metric ? h("span", { class: "range" }, ` ${e.data.metric} ${value}${level === null ? "" : `, level ${level}`}`) : null));
        };
        redraw(this.history, h("ol", { class: "timeline", tabindex: "0", "aria-label": "What happened, newest first" }, items.map(line)));
    }

    ask_silence(matchers) {
        const said = h("div", {});
        const lines = h("textarea", { id: "silence-matchers", rows: "4", required: true, spellcheck: "false" });
        lines.value = matchers.join("\n");
        const duration = h("select", { id: "silence-duration" }, ["30m", "1h", "2h", "8h", "1d", "7d"].map((d) => h("option", { value: d, selected: d === "2h" }, d)));
        const why = h("input", { id: "silence-comment", type: "text", maxlength: "1000", required: true, autocomplete: "off" });
        const go = h("button", { type: "submit", class: "primary" }, "Silence");
        const submit = (event) => {
            event.preventDefault();
            const body = { matchers: lines.value.split("\n").map((l) => l.trim()).filter(Boolean), duration: duration.value, comment: why.value };
            operate(go, said, () => send("POST", "/api/v1/silences", body), () => { this.dialog.close(); return this.load(); });
        };
        replace(this.dialog, h("h2", { id: "silence-title" }, "Silence"),
            h("form", { onsubmit: submit, class: "form" },
                h("p", { class: "what" }, "Nobody is told of alerts that match every line; they are still shown here. Your name is that of the token you sign in with."),
                h("label", { for: "silence-matchers" }, "Matchers, one a line: ", h("code", {}, "model=\"credit\"")), lines,
                h("label", { for: "silence-duration" }, "For"), duration,
                h("label", { for: "silence-comment" }, "Why"), why, said,
                h("div", { class: "actions" }, go, h("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel"))));
        this.dialog.showModal();
        (matchers.length ? why : lines).focus();
    }
}

// Those to be sent, and sent, alike to the same receiver about the same are one line; of what failed each is sent again.
function alike_of(items) {
    const lines = new Map();
    for (const d of items) {
        const key = d.state === "failed" ? `failed ${d.id}` : [d.state, d.receiver, d.type, d.group].join("\n");
        lines.set(key, [...(lines.get(key) ?? []), d]);
    }
    return [...lines.values()];
}

function matchers_of(data) {
    return [["alertname", data.name], ["model", data.model], ["version", data.version], ["segment", data.segment]]
        .filter(([, value]) => value).map(([label, value]) => `${label}="${value}"`);
}

export async function open(main, { signal }) {
    const page = new Page(main, signal);
    const hears = ({ type }) => (type === "alert" || type === "open" ? NOW : type === "window" ? SOON : null);
    await follow(signal, { load: () => page.load(), message: page.message, hears });
}
