// What stands below a chart: the time of day, or how long ago each version was released.
import * as format from "./format.js";

const { MINUTE, HOUR, DAY } = format;

function clock_ticks(splits) {
    const span = splits.at(-1) - splits[0];
    return splits.map((ms) => {
        const midnight = new Date(ms).getHours() === 0 && new Date(ms).getMinutes() === 0;
        return midnight || span > 3 * DAY ? format.day_name(ms) : format.clock_time(ms);
    });
}

export const by_clock = {
    name: "clock",
    label: `end of the window, ${format.zone_title}`,
    ticks: clock_ticks,
    at: (ms) => `at ${format.time(ms)}`,
    window: (p) => `${format.time(p.start)} – ${p.end - p.start >= DAY ? format.time(p.end) : format.clock_time(p.end)}`,
    exactly: (p) => `${format.utc(p.start)} to ${format.utc(p.end)}`,
    column: "Window from",
    row: (p) => format.time(p.start),
    row_exactly: (p) => format.utc(p.start),
    title: "over time",
    table: `newest first, times in ${format.zone}`,
};

// In the two largest units that it has: +13 h 15 min.
function elapsed(ms) {
    const days = Math.floor(ms / DAY), hours = Math.floor((ms % DAY) / HOUR), minutes = Math.floor((ms % HOUR) / MINUTE);
    const parts = [[days, "d"], [hours, "h"], [minutes, "min"]].filter(([n]) => n > 0).slice(0, 2);
    return parts.length ? `+${parts.map(([n, unit]) => `${n} ${unit}`).join(" ")}` : "0";
}

// Points carry `from` and `until`, when their window was by the clock, beside `start` and `end` since the release.
export const since_release = {
    name: "release",
    label: "time since the release",
    steps: [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10080, 20160, 43200].map((m) => m * MINUTE),
    ticks: (splits) => splits.map(elapsed),
    at: (ms) => `${elapsed(Math.max(0, ms))} after its release`,
    window: (p) => `${elapsed(Math.max(0, p.start))} to ${elapsed(p.end)} after its release`,
    exactly: (p) => `${format.utc(p.from)} to ${format.utc(p.until)}`,
    column: "After the release",
    row: (p) => elapsed(p.end),
    row_exactly: () => "",
    title: "since its release",
    table: "newest first, each version since its release",
};
