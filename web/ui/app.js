// Finds the page that the URL names, opens it, and closes the one before.
import { get, session, sign_out } from "./api.js";
import { h, replace } from "./dom.js";
import { on_change, reconnect, start } from "./live.js";
import { is_dark } from "./palette.js";
import { ready_for_paper } from "./print.js";
import { href, read } from "./route.js";
import { ask_token } from "./sign_in.js";
import { failed } from "./states.js";
import * as alerts from "./alerts.js";
import * as compare from "./compare.js";
import * as drift from "./drift.js";
import * as model from "./model.js";
import * as overview from "./overview.js";
import * as release from "./release.js";
import * as releases from "./releases.js";
import * as system from "./system.js";

const main = document.getElementById("main");
const pages = [
    { title: "Overview", key: "o", parts: [], match: (p) => p.length === 0, page: overview },
    { title: "Model", match: (p) => p[0] === "models" && p.length === 2, page: model },
    { title: "Compare", match: (p) => p[0] === "models" && p.length === 3 && p[2] === "compare", page: compare },
    { title: "Drift", match: (p) => p[0] === "models" && p.length === 3 && p[2] === "drift", page: drift },
    { title: "Releases", key: "r", parts: ["releases"], match: (p) => p[0] === "releases" && p.length === 1, page: releases },
    { title: "Release", within: "releases", match: (p) => p[0] === "releases" && p.length === 2, page: release },
    { title: "Alerts", key: "a", parts: ["alerts"], match: (p) => p[0] === "alerts" && p.length === 1, page: alerts },
    { title: "System", key: "s", parts: ["system"], match: (p) => p[0] === "system" && p.length === 1, page: system },
];

let open_path = null, closer = null, firing = 0;

// How many alerts fire, next to the word in the navigation.
function draw_count() {
    const link = document.querySelector("#nav a[href='#/alerts']");
    link?.querySelector(".count")?.remove();
    if (firing) link?.append(h("span", { class: "count" }, String(firing), h("span", { class: "unseen" }, " firing")));
}

async function count_alerts() {
    try {
        const { items } = await get("/api/v1/alerts");
        firing = items.filter((alert) => alert.state === "firing").length;
        draw_count();
    } catch { /* the Alerts page says why */ }
}

async function show() {
    const { parts } = read(), path = parts.join("/");
    const found = pages.find((entry) => entry.match(parts));
    replace(document.getElementById("nav"), pages.filter((entry) => entry.parts).map((entry) =>
        h("a", { href: href(entry.parts), "aria-current": entry === found || (entry === pages[0] && parts[0] === "models") || (found?.within && entry.parts[0] === found.within) ? "page" : null }, entry.title)));
    draw_count();
    if (path === open_path) return; // only parameters changed: the page follows them itself
    open_path = path;
    closer?.abort();
    closer = new AbortController();
    document.title = found ? `${found.page.name?.(parts) ?? found.title} · Assay` : "Assay";
    scrollTo(0, 0);
    try {
        if (!found) throw Object.assign(new Error(`There is no page at ${location.hash}.`), { status: 404 });
        await found.page.open(main, { parts, signal: closer.signal });
    } catch (error) {
        if (error.name === "AbortError") return;
        replace(main, failed(error, () => { open_path = null; show(); }));
        if (!(error.status >= 0)) console.error(error);
    }
}

function theme_button() {
    const button = document.getElementById("theme");
    const label = () => { button.textContent = is_dark() ? "Light" : "Dark"; button.title = `Switch to the ${is_dark() ? "light" : "dark"} theme (t)`; };
    button.onclick = () => {
        const next = is_dark() ? "light" : "dark";
        document.documentElement.dataset.theme = next;
        try { localStorage.setItem("theme", next); } catch { /* only for this visit then */ }
        label();
        dispatchEvent(new Event("theme"));
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { label(); dispatchEvent(new Event("theme")); });
    label();
}

const keys = [["o", "Overview"], ["r", "Releases"], ["a", "Alerts"], ["s", "System"], ["[ and ]", "Shorter and longer range"], ["← →", "On a chart: through its windows"], ["Esc", "Off the chart"], ["t", "Dark or light"], ["?", "This list"]];

function keyboard() {
    const dialog = document.getElementById("keys");
    const help = () => {
        replace(dialog, h("h2", { id: "keys-title" }, "Keyboard"),
            h("dl", {}, keys.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
            h("form", { method: "dialog" }, h("button", { autofocus: true }, "Close")));
        dialog.showModal();
    };
    document.getElementById("help").onclick = help;
    addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || /^(input|select|textarea)$/i.test(event.target.tagName) || document.querySelector("dialog[open]")) return;
        const entry = pages.find((e) => e.key === event.key);
        if (entry) location.hash = href(entry.parts);
        else if (event.key === "t") document.getElementById("theme").click();
        else if (event.key === "?") help();
        else if (event.key === "[" || event.key === "]") dispatchEvent(new CustomEvent("range-step", { detail: event.key === "]" ? 1 : -1 }));
    });
}

// Who is signed in, and the way out.
function draw_who(who) {
    const place = document.getElementById("who");
    const leave = async () => {
        closer?.abort(); // what the page still asks would be refused
        try { await sign_out(); } finally { location.reload(); }
    };
    replace(place, who.name ? [h("span", { class: "who-name", title: `may ${who.scopes.join(", ")}` }, who.name), h("button", { type: "button", class: "quiet", id: "sign-out", onclick: leave }, "Sign out")] : null);
}

// Nothing is asked before we know that we may; a session that ends leads back here.
let signing_in = false;
async function enter(why = null) {
    let who;
    try {
        who = await session();
    } catch (error) {
        replace(main, failed(error, () => enter()));
        return;
    }
    draw_who(who);
    if (!who.tokens || who.name) { signing_in = false; begin(); return; }
    signing_in = true;
    closer?.abort();
    open_path = null;
    document.title = "Sign in · Assay";
    replace(document.getElementById("nav"));
    ask_token(main, () => enter(), why);
}

let begun = false;
function begin() {
    if (!begun) listen();
    else reconnect();
    begun = true;
    show();
}

addEventListener("signed-out", () => { if (!signing_in) enter("Your session has ended."); });

// A thin line on top while an answer takes its time.
const progress = document.getElementById("busy");
let slow = null;
addEventListener("busy", ({ detail }) => {
    progress.hidden = detail === 0;
    clearTimeout(slow);
    progress.lastElementChild.hidden = true;
    if (detail) slow = setTimeout(() => { progress.lastElementChild.hidden = false; }, 4000);
});

const live = document.getElementById("live");
const listen = () => start((state, word, title) => {
    live.dataset.state = state;
    live.title = title ?? "";
    if (live.lastElementChild.textContent !== word) live.lastElementChild.textContent = word;
});
on_change((event) => {
    if (event.type === "open" || (event.type === "alert" && !event.alerts)) count_alerts();
    else if (event.type === "alert") { firing = event.firing; draw_count(); }
});
theme_button();
keyboard();
ready_for_paper();
addEventListener("hashchange", () => { if (begun && !signing_in) show(); });
enter();
