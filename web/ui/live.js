// One event stream for the whole page; who wants to know subscribes. The browser reconnects by
// itself and says the last id it has seen; where it gives up (the server refused), we try again.
// A tab that nobody sees has no stream: a browser opens six connections to a server, for all its
// tabs together, and the seventh tab would wait for ever. Seen again, it loads what was missed.

const listeners = new Set();
const AGAIN_MS = 10_000;
let source = null, last = null, ready = true, reason = "", show = () => {};

export function on_change(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

function tell(event) {
    for (const listener of listeners) listener(event);
}

function display() {
    if (!source || source.readyState === 2) show("off", "not live", "The event stream ended; it is tried again.");
    else if (source.readyState === 0) show("off", "reconnecting", "The connection is being made again.");
    else if (!ready) show("warn", "not ready", reason);
    else show("on", "live", last ? `last change ${new Date(last).toLocaleTimeString()}` : "waiting for the first change");
}

export function reconnect() {
    source?.close();
    if (document.hidden) return;
    const mine = source = new EventSource("/api/v1/stream");
    const hear = (name, what) => mine.addEventListener(name, (message) => what(JSON.parse(message.data)));
    mine.onopen = () => { display(); tell({ type: "open" }); };
    mine.onerror = () => {
        display();
        if (mine.readyState === 2) setTimeout(() => { if (mine === source) reconnect(); }, AGAIN_MS);
    };
    hear("window", (data) => {
        last = Date.now();
        display();
        tell({ type: "window", ...data });
    });
    hear("alert", (data) => tell({ type: "alert", ...data }));
    hear("transition", (data) => tell({ type: "transition", ...data }));
    hear("status", (data) => {
        ({ ready, reason } = data);
        display();
        tell({ type: "status", ready, reason });
    });
}

export function start(on_state) {
    show = on_state;
    addEventListener("visibilitychange", reconnect);
    addEventListener("pagehide", () => source?.close());
    addEventListener("pageshow", (event) => { if (event.persisted) reconnect(); });
    reconnect();
}
