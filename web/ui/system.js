// Is the monitor itself well? Lag, partitions, what goes out, what was refused and why, storage.
import { get } from "./api.js";
import { h, plain_table, replace } from "./dom.js";
import { SOON, follow } from "./follow.js";
import * as format from "./format.js";
import { change, read } from "./route.js";

function fact(label, text, why) {
    return h("div", { class: "fact", title: why }, h("dt", {}, label), h("dd", {}, text));
}

function facts(system) {
    const c = system.collector;
    return h("dl", { class: "facts" },
        fact("State", c === null ? "no collector in this process" : c.ready ? "ready" : `not ready: ${c.reason}`),
        fact("Waiting in Kafka", c?.lag === null || c?.lag === undefined ? "–" : `${format.count(c.lag)} messages`, "messages in the log that were not read yet"),
        fact("Behind now", format.duration(c?.lag_ms ?? null), "wall clock minus the newest event time that is complete"),
        fact("Pending labels", c?.pending === null || c?.pending === undefined ? "–" : `${format.count(c.pending)} (${format.bytes(c.pending_bytes)})`, "predictions that wait for their label, and the memory of that"),
        fact("Last commit", c?.last_commit_ms === null || c?.last_commit_ms === undefined ? "–" : `${c.last_commit_ms} ms`, `longest so far: ${c?.longest_commit_ms ?? "–"} ms`),
        fact("Database", `${format.bytes(system.storage.database_bytes)} + ${format.bytes(system.storage.wal_bytes)} WAL`));
}

const columns = ["consumed", "folded", "duplicate", "dead_lettered", "late", "orphaned", "waiting", "lost"];

function partitions(system) {
    if (!system.partitions.length)
        return h("p", { class: "message" }, "Nothing was consumed yet. With ", h("code", {}, "kafka:"), " in the configuration, partitions appear here.");
    const line = (name, row, head) => h("tr", { class: head ? "total" : null },
        h("th", { scope: "row" }, name),
        columns.map((c) => h("td", { class: row[c] && (c === "lost" || c === "dead_lettered") ? "number bad" : "number" }, format.count(row[c]))),
        h("td", { title: format.utc(row.newest_event) }, head ? "" : format.time(row.newest_event)));
    return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" },
        h("caption", { class: "unseen" }, "Partitions"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Topic / partition"), columns.map((c) => h("th", { scope: "col", class: "number" }, c.replace("_", " "))), h("th", { scope: "col" }, "newest event"))),
        h("tbody", {}, line("all", system.totals, true), system.partitions.map((p) => line(`${p.topic} / ${p.partition}`, p, false)))));
}

function outlet_state(r, now) {
    if (r.gone) return h("span", { class: "bad" }, "gone: answered 410, left alone until a reload");
    if (r.rests_until !== null) return h("span", { class: "bad" }, `failing: rests for ${format.duration(r.rests_until - now)}`);
    if (r.waiting) return `${format.count(r.waiting)} waiting, the oldest for ${format.duration(now - r.oldest_waiting)}`;
    return "nothing waits";
}

const last_problem = (o) => h("td", { title: format.utc(o.problem_at) }, o.problem === null ? "–" : [o.problem, h("small", {}, format.time(o.problem_at))]);

const count_of = (text) => h("th", { scope: "col", class: "number" }, text);
const number = (n, bad) => h("td", { class: bad && n ? "number bad" : "number" }, format.count(n));

function receivers(system) {
    if (!system.receivers.length) return h("p", { class: "message" }, "No receiver is configured: alerts are shown here and told nobody.");
    return plain_table("Receivers", ["Receiver", "State", count_of("Sent"), count_of("Repeated"), count_of("Failed"), "Last problem"], system.receivers.map((r) => h("tr", {},
        h("th", { scope: "row" }, r.receiver, h("small", {}, r.type)), h("td", {}, outlet_state(r, system.now)),
        number(r.sent), number(r.retried), number(r.failed, true), last_problem(r))));
}

function sinks(system) {
    if (!system.sinks.length) return null;
    return plain_table("Sinks", ["Sink", "Of", count_of("Windows"), count_of("Errors"), "Last problem"], system.sinks.map((s) => h("tr", {},
        h("th", { scope: "row" }, s.type, h("small", {}, s.logdir)), h("td", {}, s.model ?? "all models"),
        number(s.windows), number(s.errors, true), last_problem(s))));
}

function rejects(system, chosen) {
    if (!system.rejects.length) return h("p", { class: "message good" }, "No event was refused.");
    const most = Math.max(...system.rejects.map((r) => r.n));
    const sorted = [...system.rejects].sort((a, b) => b.n - a.n);
    return h("ul", { class: "bars" }, sorted.map((r) => h("li", {},
        h("button", { type: "button", class: "quiet", "aria-pressed": String(chosen === r.reason), onclick: () => change({ reason: chosen === r.reason ? "" : r.reason }) }, r.reason),
        h("span", { class: "bar", style: { "--share": r.n / most } }),
        h("b", {}, format.count(r.n)))));
}

function letters(list) {
    if (!list.items.length) return h("p", { class: "message" }, "No example is kept (the dead-letter topic has them, or their retention is over).");
    return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" },
        h("caption", { class: "unseen" }, "Refused events"),
        h("thead", {}, h("tr", {}, ["Time", "Reason", "Where", "Payload"].map((t) => h("th", { scope: "col" }, t)))),
        h("tbody", {}, list.items.map((l) => h("tr", {},
            h("td", { title: format.utc(l.at) }, format.time(l.at)),
            h("td", {}, l.reason, l.detail ? h("small", {}, l.detail) : null),
            h("td", {}, `${l.topic} / ${l.partition} @ ${l.offset}`),
            h("td", {}, h("code", { class: "payload" }, l.payload.slice(0, 400))))))));
}

// Refused events may hold anything that a client sent: only admins see them.
async function examples_of(reason, signal) {
    try {
        return letters(await get("/api/v1/dead-letters", { limit: 20, reason }, signal));
    } catch (error) {
        if (error.status !== 403) throw error;
        return h("p", { class: "message" }, "Examples are for tokens of the scope admin: they hold what clients sent.");
    }
}

export async function open(main, { signal }) {
    const top = h("div", {}), middle = h("div", {}), outlets = h("div", {}), refused = h("div", {}), examples = h("div", {}), message = h("div", {});
    replace(main, h("div", { class: "page-head" }, h("h1", {}, "System"), h("p", { class: "lead" }, "Is the monitor itself well?")), message, top,
        h("div", { class: "part-head" }, h("h2", {}, "Partitions"), h("a", { class: "quiet", download: "system.json", href: "/api/v1/system" }, "JSON")), middle,
        h("h2", {}, "Receivers and sinks"), outlets,
        h("div", { class: "two" }, h("section", {}, h("h2", {}, "Refused, by reason"), refused), h("section", {}, h("h2", {}, "Examples"), examples)));
    const load = async () => {
        const reason = read().params.reason ?? "";
        const system = await get("/api/v1/system", {}, signal);
        replace(message);
        replace(top, facts(system));
        replace(middle, partitions(system));
        replace(outlets, receivers(system), sinks(system));
        replace(refused, rejects(system, reason));
        replace(examples, await examples_of(reason, signal));
    };
    await follow(signal, { load, message, hears: () => SOON });
}
