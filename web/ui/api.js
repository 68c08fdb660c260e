// Questions to /api/v1. Failures are Problems, with what the server says to do.

export class Problem extends Error {
    constructor(status, body) {
        super(body.detail ?? body.title ?? `the server answered ${status}`);
        this.status = status;
        this.field = body.field;
        this.allowed = body.allowed ?? [];
    }
}

const segment = encodeURIComponent;
export const model_path = (name, rest = "") => `/api/v1/models/${segment(name)}${rest}`;

export function with_params(path, params) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params))
        if (value !== null && value !== undefined && value !== "") query.set(name, value);
    const text = query.toString();
    return text ? `${path}?${text}` : path;
}

export const get = (path, params = {}, signal = undefined) => ask(with_params(path, params), { signal });

// A model, its versions in the order that people count them in: v2 before v10.
const by_number = new Intl.Collator("en", { numeric: true });
export async function read_model(name, signal) {
    const model = await get(model_path(name), {}, signal);
    return { ...model, versions: [...model.versions].sort(by_number.compare) };
}

// What changes something: POST or DELETE, with a JSON body or none.
export async function send(method, path, body = undefined) {
    const { csrf } = await session();
    return ask(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
        { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(csrf ? { "X-Assay-CSRF": csrf } : {}) });
}

// Who asks, and what they may: {tokens, name, scopes, csrf, expires}. Asked once a visit, and again
// after signing in or out.
let who = null;
export const session = (signal) => (who ??= get("/api/v1/session", {}, signal).catch((error) => { who = null; throw error; }));
export async function sign_in(token) {
    who = null;
    who = Promise.resolve(await ask("/api/v1/session", { method: "POST", body: JSON.stringify({ token }) }, { "Content-Type": "application/json" }));
    return who;
}
export async function sign_out() {
    try { await send("DELETE", "/api/v1/session"); } finally { who = null; }
}

// Tells "busy" when a question takes longer than most, so that the page can show that it waits.
let waiting = 0;
function busy() {
    let counted = false;
    const count = (n) => { waiting += n; counted = n > 0; dispatchEvent(new CustomEvent("busy", { detail: waiting })); };
    const late = setTimeout(() => count(1), 400);
    return () => {
        clearTimeout(late);
        if (counted) count(-1);
    };
}

async function ask(path, options, headers = {}) {
    let response;
    const done = busy();
    try {
        response = await fetch(path, { ...options, headers: { Accept: "application/json", ...headers } });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Problem(0, { detail: "Assay does not answer. Is the daemon running? This page tries again by itself." });
    } finally {
        done();
    }
    if (response.status === 401 && path !== "/api/v1/session") {
        who = null;
        dispatchEvent(new Event("signed-out"));
    }
    const text = await response.text();
    let body = {};
    try { body = JSON.parse(text); } catch { body = { detail: `the server answered ${response.status} without JSON` }; }
    if (!response.ok) throw new Problem(response.status, body);
    return body;
}

// Calls `each` for the items, at most `n` at a time.
export async function in_parallel(items, n, each) {
    const queue = [...items];
    const worker = async () => { while (queue.length) await each(queue.shift()); };
    await Promise.all(Array.from({ length: Math.min(n, queue.length) }, worker));
}
