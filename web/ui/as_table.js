// A drawing as a table: the rows that its CSV holds. Which drawings are shown so outlives their next drawing.
import { h } from "./dom.js";
import * as format from "./format.js";

const MOST_ROWS = 500, times = new Set(["at", "from", "to", "start", "end"]);
const shown = new Map(); // name → where its table stands

function cell(column, value) {
    if (value === null || value === undefined || value === "") return h("td", {}, "–");
    if (times.has(column) && value > format.DAY) return h("td", { title: format.utc(value) }, format.time(value));
    if (typeof value === "number") return h("td", { class: "number" }, Number.isInteger(value) ? format.count(value) : String(Number(value.toPrecision(5))));
    return h("td", {}, value);
}

function table(name, [heads, ...rows]) {
    const more = rows.length > MOST_ROWS ? `; the first ${MOST_ROWS} of ${rows.length} rows, all are in the CSV` : "";
    return h("table", {}, h("caption", {}, `${name}${heads.some((head) => times.has(head)) ? `, times in ${format.zone}` : ""}${more}`),
        h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, rows.slice(0, MOST_ROWS).map((row) => h("tr", {}, row.map((value, i) => cell(heads[i], value))))));
}

// A button that shows `rows()` below the section that it stands in.
export function table_button(name, rows) {
    const draw = () => {
        shown.get(name)?.remove();
        const place = h("div", { class: "chart-table", tabindex: "0" }, table(name, rows()));
        shown.set(name, place);
        button.setAttribute("aria-pressed", "true");
        button.closest("section")?.append(place);
    };
    const press = () => {
        if (!shown.has(name)) { draw(); return; }
        shown.get(name).remove();
        shown.delete(name);
        button.setAttribute("aria-pressed", "false");
    };
    const button = h("button", { type: "button", class: "quiet", "aria-pressed": "false", "aria-label": `Table of ${name}`, onclick: press }, "Table");
    if (shown.has(name)) queueMicrotask(draw); // once the section stands
    return button;
}
