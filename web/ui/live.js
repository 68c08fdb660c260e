// One event stream for the whole page; who wants to know subscribes. The browser reconnects by
// itself and says the last id it has seen.

const listeners = new Set();
let source = null;

export function on_change(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

function tell(event) {
    for (const listener of listeners) listener(event);
}

export function start(show) {
    let last = null, ready = true, reason = "";
    const display = () => {
        if (!source || source.readyState === 2) show("off", "not live", "The event stream ended; reload to try again.");
        else if (source.readyState === 0) show("off", "reconnecting", "The connection is being made again.");
        else if (!ready) show("warn", "not ready", reason);
        else show("on", "live", last ? `last change ${new Date(last).toLocaleTimeString()}` : "waiting for the first change");
    };
    source = new EventSource("/api/v1/stream");
    source.onopen = () => { display(); tell({ type: "open" }); };
    source.onerror = display;
    source.addEventListener("window", (message) => {
        last = Date.now();
        display();
        tell({ type: "window", ...JSON.parse(message.data) });
    });
    source.addEventListener("alert", (message) => tell({ type: "alert", ...JSON.parse(message.data) }));
    source.addEventListener("transition", (message) => tell({ type: "transition", ...JSON.parse(message.data) }));
    source.addEventListener("status", (message) => {
        ({ ready, reason } = JSON.parse(message.data));
        display();
        tell({ type: "status", ready, reason });
    });
    addEventListener("pagehide", () => source.close());
}
