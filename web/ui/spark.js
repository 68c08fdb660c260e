// A small line without axes; the number beside it says what it means.
import { svg } from "./dom.js";

export function spark(values, { width = 132, height = 30, from_zero = false } = {}) {
    const known = values.filter((v) => v !== null);
    const box = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    if (known.length < 2) return box;
    let low = from_zero ? 0 : Math.min(...known), high = Math.max(...known);
    if (high === low) { high += 1; low -= from_zero && low === 0 ? 0 : 1; }
    const x = (i) => 2 + (i / (values.length - 1)) * (width - 6);
    const y = (v) => height - 3 - ((v - low) / (high - low)) * (height - 6);
    let path = "", pen = false, last = null;
    values.forEach((v, i) => {
        if (v === null) { pen = false; return; }
        path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
        pen = true;
        last = [x(i), y(v)];
    });
    box.append(svg("path", { d: path }), svg("circle", { cx: last[0].toFixed(1), cy: last[1].toFixed(1), r: 2.2 }));
    return box;
}
