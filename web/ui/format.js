// Numbers with as many digits as they deserve, and times in the reader's zone.

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
export { MINUTE, HOUR, DAY };

const missing = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(n) {
    if (n === null || n === undefined) return missing;
    if (Math.abs(n) < 10_000) return grouped.format(n);
    for (const [size, sign] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
        if (Math.abs(n) >= size) return trim((n / size).toPrecision(3)) + sign;
    return grouped.format(n);
}

// "1 label", "2,041 labels".
export const things = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

const trim = (text) => (text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text);

// Digits after the point so that the interval's half width shows two digits.
function digits_of(half_width) {
    if (!(half_width > 0)) return 4;
    return Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(half_width))));
}

const is_rate = (metric) => /(_rate|_utilization|^coverage)$/.test(metric.replace(/\{.*$/, ""));

// What a metric's value is written in: "percent", "ms", "bytes", "count" or "number".
export function kind_of(metric, unit) {
    if (unit === "ms" || unit === "bytes") return unit;
    if (unit === "count") return "count";
    if (unit === "fraction" && is_rate(metric)) return "percent";
    return "number";
}

export function value(v, kind, half_width) {
    if (v === null || v === undefined || Number.isNaN(v)) return missing;
    if (kind === "count") return count(v);
    if (kind === "ms") return duration_fine(v);
    if (kind === "bytes") return bytes(v);
    if (kind === "percent") return `${trim((v * 100).toFixed(Math.min(3, digits_of((half_width || 0.0005) * 100))))} %`;
    if (half_width > 0) return v.toFixed(digits_of(half_width));
    const size = Math.abs(v);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return v.toExponential(2);
    return size >= 1000 ? grouped.format(v) : trim(v.toPrecision(4));
}

export function duration_fine(ms) {
    if (ms >= 60_000) return duration(ms);
    if (ms >= 1000) return `${trim((ms / 1000).toPrecision(3))} s`;
    return `${trim(ms.toPrecision(3))} ms`;
}

export function interval(point, kind) {
    if (point.lower === null || point.upper === null) return "";
    const half = (point.upper - point.lower) / 2;
    return `${value(point.lower, kind, half)} to ${value(point.upper, kind, half)}`;
}

export function half_width(point) {
    return point.lower === null || point.upper === null ? 0 : (point.upper - point.lower) / 2;
}

export function duration(ms) {
    if (ms === null || ms === undefined) return missing;
    const units = [[DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [1000, "s"]];
    for (const [i, [size, sign]] of units.entries()) {
        if (ms < size) continue;
        const whole = Math.floor(ms / size), rest = units[i + 1];
        const minor = rest ? Math.floor((ms % size) / rest[0]) : 0;
        return minor && whole < 10 ? `${whole} ${sign} ${minor} ${rest[1]}` : `${whole} ${sign}`;
    }
    return `${Math.round(ms)} ms`;
}

// As the API takes it: 1m, 5m, 1h, 7d.
export function span_name(ms) {
    if (ms % DAY === 0) return `${ms / DAY}d`;
    if (ms % HOUR === 0) return `${ms / HOUR}h`;
    return `${ms / MINUTE}m`;
}
export function span_ms(text) {
    const found = /^(\d+)(m|h|d)$/.exec(text ?? "");
    return found ? Number(found[1]) * { m: MINUTE, h: HOUR, d: DAY }[found[2]] : null;
}

export function bytes(n) {
    if (n === null || n === undefined) return missing;
    for (const [size, sign] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
        if (n >= size) return `${trim((n / size).toPrecision(3))} ${sign}`;
    return `${n} B`;
}

const two = (n) => String(n).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function clock_time(ms) {
    const d = new Date(ms);
    return `${two(d.getHours())}:${two(d.getMinutes())}`;
}
export function day_name(ms) {
    const d = new Date(ms);
    return `${d.getDate()} ${months[d.getMonth()]}`;
}
export function time(ms) {
    if (ms === null || ms === undefined) return missing;
    return `${day_name(ms)} ${clock_time(ms)}`;
}
export function utc(ms) {
    return ms === null || ms === undefined ? "" : `${new Date(ms).toISOString().replace(/\.000Z$/, "Z")} (UTC)`;
}
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// As an axis says it: "Europe/Berlin, UTC+1", "UTC".
function offset_now() {
    const minutes = -new Date().getTimezoneOffset(), rest = Math.abs(minutes) % 60;
    return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${two(rest)}` : ""}`;
}
export const zone_title = zone === "UTC" ? zone : `${zone}, ${offset_now()}`;
