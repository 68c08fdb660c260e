// Tables that are sorted by pressing a heading: up, down, as they came. The URL holds which, as
// `sort=versions:2`, or `versions:-2` for the largest first. Cells say what they are sorted by in `data-sort`.
import { h } from "./dom.js";
import { change, read } from "./route.js";

const by_number = new Intl.Collator("en", { numeric: true });
let pressed = null; // the heading that has the focus, once its table is drawn anew

function chosen_of(name) {
    const found = /^([a-z]+):(-?)(\d+)$/.exec(read().params.sort ?? "");
    return found?.[1] === name ? { column: Number(found[3]), down: found[2] === "-" } : null;
}

function next_of(name, column, now) {
    if (now?.column !== column) return `${name}:${column}`;
    return now.down ? "" : `${name}:-${column}`;
}

// What nothing is known of comes last, either way.
function order(a, b, { column, down }) {
    const [x, y] = [a, b].map((row) => row.cells[column]?.dataset.sort);
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    const numbers = x.trim() !== "" && y.trim() !== "" && !Number.isNaN(Number(x)) && !Number.isNaN(Number(y));
    return (numbers ? Number(x) - Number(y) : by_number.compare(x, y)) * (down ? -1 : 1);
}

function heading(head, name, column, now) {
    const id = `sort-${name}-${column}`, mine = now?.column === column;
    head.querySelector("button.sort")?.replaceWith(...head.querySelector("button.sort").childNodes);
    const button = h("button", { type: "button", id, class: "sort", title: "Sort", onclick: () => { pressed = id; change({ sort: next_of(name, column, now) }, false); } }, [...head.childNodes]);
    head.replaceChildren(button);
    head.setAttribute("aria-sort", mine ? (now.down ? "descending" : "ascending") : "none");
    if (pressed === id && [null, document.body].includes(document.activeElement)) button.focus({ preventScroll: true });
}

// To be called whenever the rows were drawn.
export function sortable(table, name) {
    const now = chosen_of(name), body = table.tBodies[0], rows = [...body.rows], had = document.activeElement;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
        if (rows.some((row) => row.cells[column]?.dataset.sort !== undefined)) heading(head, name, column, now);
    });
    const sorted = now ? [...rows].sort((a, b) => order(a, b, now)) : rows;
    if (sorted.some((row, i) => row !== rows[i])) body.append(...sorted);
    if (had?.isConnected && had !== document.activeElement) had.focus({ preventScroll: true });
    return table;
}
