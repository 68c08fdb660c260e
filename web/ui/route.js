// The URL is the state: `#/models/credit?range=24h&window=1h`. Pages read it and write it, so that
// any view can be sent to somebody else, and Back works.

export function read() {
    const text = location.hash.replace(/^#/, "") || "/";
    const [path, query = ""] = text.split("?", 2);
    let parts = [];
    try { parts = path.split("/").filter(Boolean).map(decodeURIComponent); } catch { parts = ["?"]; }
    return { parts, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function href(parts, params = {}) {
    const path = `#/${parts.map(encodeURIComponent).join("/")}`;
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params))
        if (value !== null && value !== undefined && value !== "") query.set(name, value);
    const text = query.toString();
    return text ? `${path}?${text}` : path;
}

// Changes some parameters of the present page; `keep` false makes no new entry in the history.
export function change(params, keep = true) {
    const now = read();
    const url = href(now.parts, { ...now.params, ...params });
    if (url === location.hash) return;
    if (keep) location.hash = url;
    else {
        history.replaceState(null, "", url);
        dispatchEvent(new HashChangeEvent("hashchange"));
    }
}
