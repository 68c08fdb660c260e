// What a chart shows, as a file: JSON and CSV from the data, PNG from an SVG or a canvas. Nothing
// leaves the machine, and no image is loaded: the policy of this page forbids it.
import { table_button } from "./as_table.js";
import { h } from "./dom.js";
import { css } from "./palette.js";

function download(blob, name) {
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const safe = (name) => name.replace(/[^\w.@+-]+/g, "_").slice(0, 80) || "chart";

export const save_json = (name, value) => download(new Blob([JSON.stringify(value, null, 1)], { type: "application/json" }), `${safe(name)}.json`);

// A cell that begins like a formula is text: a spreadsheet must not run what a client once sent.
export function csv_text(rows) {
    const cell = (v) => {
        if (v === null || v === undefined) return "";
        const text = typeof v === "string" && /^[=+@\t\r-]/.test(v) ? `'${v}` : String(v);
        return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
    };
    return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
export const save_csv = (name, rows) => download(new Blob([csv_text(rows)], { type: "text/csv" }), `${safe(name)}.csv`);

// A canvas of that size in CSS pixels with the page's ground and a title; `paint` draws below it.
export function save_picture(name, title, width, height, paint) {
    const ratio = Math.max(2, devicePixelRatio), head = 34;
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(width * ratio);
    canvas.height = Math.ceil((height + head) * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.fillStyle = css("--panel");
    context.fillRect(0, 0, width, height + head);
    context.fillStyle = css("--ink");
    context.font = "600 13px system-ui, sans-serif";
    context.fillText(title, 12, 22, width - 24);
    context.translate(0, head);
    paint(context);
    canvas.toBlob((blob) => download(blob, `${safe(name)}.png`));
}

function paint_shape(context, element, style) {
    const number = (name) => Number(element.getAttribute(name) ?? 0);
    const path = new Path2D();
    switch (element.tagName) {
    case "rect": path.rect(number("x"), number("y"), number("width"), number("height")); break;
    case "circle": path.arc(number("cx"), number("cy"), number("r"), 0, 2 * Math.PI); break;
    case "line": path.moveTo(number("x1"), number("y1")); path.lineTo(number("x2"), number("y2")); break;
    case "path": path.addPath(new Path2D(element.getAttribute("d"))); break;
    default: return;
    }
    if (style.fill !== "none" && element.tagName !== "line") {
        context.globalAlpha = Number(style.opacity) * Number(style.fillOpacity);
        context.fillStyle = style.fill;
        context.fill(path);
    }
    if (style.stroke !== "none") {
        context.globalAlpha = Number(style.opacity) * Number(style.strokeOpacity);
        context.strokeStyle = style.stroke;
        context.lineWidth = parseFloat(style.strokeWidth);
        context.setLineDash(style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[ ,]+/).map(parseFloat));
        context.stroke(path);
    }
}

function paint_text(context, element, style) {
    context.globalAlpha = Number(style.opacity);
    context.fillStyle = style.fill;
    context.font = `${style.fontWeight} ${style.fontSize} system-ui, sans-serif`;
    context.textAlign = { middle: "center", end: "right" }[style.textAnchor] ?? "left";
    context.fillText(element.textContent, Number(element.getAttribute("x") ?? 0), Number(element.getAttribute("y") ?? 0));
}

// The shapes that this page draws with: rect, circle, line, path, text, in groups.
export function save_svgs(name, title, ...svgs) {
    const boxes = svgs.map((box) => box.viewBox.baseVal), gap = 10;
    const width = Math.max(...boxes.map((box) => box.width)), height = boxes.reduce((sum, box) => sum + box.height + gap, 0);
    save_picture(name, title, width + 20, height + 6, (context) => {
        let top = 0;
        svgs.forEach((root, i) => {
            const scale = root.getCTM()?.inverse();
            for (const element of root.querySelectorAll("rect, circle, line, path, text")) {
                const style = getComputedStyle(element), at = element.getCTM();
                if (!at || !scale || style.display === "none" || style.visibility === "hidden") continue;
                const m = scale.multiply(at);
                context.save();
                context.transform(1, 0, 0, 1, 10, top);
                context.transform(m.a, m.b, m.c, m.d, m.e, m.f);
                if (element.tagName === "text") paint_text(context, element, style);
                else paint_shape(context, element, style);
                context.restore();
            }
            top += boxes[i].height + gap;
        });
    });
}

// The buttons of a chart; `json` and `csv` are functions that give the data, `png` saves. A drawing has a table too,
// unless it is one itself.
export function save_buttons(name, { json, csv, png, table = Boolean(csv && png) }) {
    const button = (text, work) => h("button", { type: "button", class: "quiet", "aria-label": `${text} of ${name}`, onclick: work }, text);
    return h("div", { class: "chart-tools" },
        table ? table_button(name, csv) : null,
        csv ? button("CSV", () => save_csv(name, csv())) : null,
        json ? button("JSON", () => save_json(name, json())) : null,
        png ? button("PNG", () => png()) : null);
}
