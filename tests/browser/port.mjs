import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

// Below what the system gives to whoever connects: nobody's connection takes a port between the asking and the listening.
const PORTS_FROM = 10_240;
export const top_port = () => Math.max(parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10), 2 * PORTS_FROM);

// Part `n` of `of` equal parts of the ports, as ASSAY_PORTS has it.
export function ports_of(n, of) {
    const span = Math.floor((top_port() - PORTS_FROM) / of);
    return `${PORTS_FROM + n * span}-${PORTS_FROM + (n + 1) * span}`;
}

const [first, end] = (process.env.ASSAY_PORTS ?? ports_of(0, 1)).split("-").map(Number);
let next = randomInt(first, end);

function is_free(port) {
    return new Promise((resolve) => {
        const server = createServer();
        server.on("error", () => resolve(false));
        server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
}

// A port of this machine on which nobody listens now.
export async function free_port() {
    for (;;) {
        const port = next;
        next = port + 1 < end ? port + 1 : first;
        if (await is_free(port)) return port;
    }
}
