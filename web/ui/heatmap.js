// Features × time, one cell a window. A cell's colour is a class, its mark says that the window was
// judged to have drifted, its name says all of it in words. Arrow keys walk, Enter opens.
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { css } from "./palette.js";
import { save_picture } from "./save.js";

// Times over the columns: as many as have room, at round hours or midnights where there are some.
function tick_columns(columns, room) {
    const width = columns.length > 1 ? columns[1].start - columns[0].start : format.HOUR;
    const steps = [format.MINUTE * 15, format.HOUR, 3 * format.HOUR, 6 * format.HOUR, 12 * format.HOUR, format.DAY, 2 * format.DAY, 7 * format.DAY, 14 * format.DAY, 28 * format.DAY];
    const step = steps.find((s) => s >= width && (columns.length * width) / s <= room) ?? steps.at(-1);
    const zone = new Date(columns[0]?.start ?? 0).getTimezoneOffset() * format.MINUTE;
    return columns.map((c) => ((c.start - zone) % step === 0 ? (step >= format.DAY || (c.start - zone) % format.DAY === 0 ? format.day_name(c.start) : format.clock_time(c.start)) : ""));
}

export class HeatMap {
    // on_open(feature, start)
    constructor({ name, on_open }) {
        Object.assign(this, { name, on_open, rows: [], columns: [], focus: null });
        this.table = h("table", { class: "heat", role: "grid", "aria-label": name, onclick: (e) => this.click(e), onkeydown: (e) => this.key(e) });
        this.element = h("div", { class: "heat-scroll" }, this.table);
    }

    // rows: [{name, kind, note, cells: [{level, mark, text, empty}]}], columns: [{start, end}],
    // chosen: {row, start}
    update({ rows, columns, chosen, title }) {
        const had = this.table.contains(document.activeElement);
        Object.assign(this, { rows, columns, chosen });
        const ticks = tick_columns(columns, 9);
        const at = this.place(chosen?.row, chosen?.start) ?? (rows.length ? [0, columns.length - 1] : null);
        if (!had || !this.focus || !rows[this.focus[0]] || this.focus[1] >= columns.length) this.focus = at;
        const head = h("tr", {}, h("th", { scope: "col", class: "heat-name" }, "Feature"),
            columns.map((c, i) => h("th", { scope: "col", class: ticks[i] ? "tick" : null, title: format.utc(c.start) }, ticks[i] ? h("span", {}, ticks[i]) : h("span", { class: "unseen" }, format.time(c.start)))),
            h("th", { scope: "col", class: "heat-last" }, "Newest"));
        replace(this.table, h("caption", { class: "unseen" }, title), h("thead", {}, head), h("tbody", {}, rows.map((row, r) => this.line(row, r))));
        if (!this.seen) { this.element.scrollLeft = this.element.scrollWidth; this.seen = true; } // the newest first
        if (had) this.cell(this.focus)?.focus({ preventScroll: true });
    }

    line(row, r) {
        return h("tr", { class: row.total ? "heat-total" : null }, h("th", { scope: "row", class: "heat-name", title: row.name }, row.name),
            row.cells.map((cell, c) => {
                const open = this.chosen?.row === row.name && this.chosen?.start === this.columns[c].start;
                const here = this.focus && this.focus[0] === r && this.focus[1] === c;
                return h("td", { role: "gridcell", tabindex: here ? "0" : "-1", "data-r": String(r), "data-c": String(c), "data-level": cell.empty ? "none" : String(cell.level), "aria-selected": String(open), "aria-label": `${row.name}, ${format.time(this.columns[c].start)}: ${cell.text}`, title: `${row.name}\n${format.time(this.columns[c].start)} – ${format.clock_time(this.columns[c].end)}\n${format.utc(this.columns[c].start)}\n${cell.text}` },
                    cell.mark ? h("i", { "aria-hidden": "true" }) : null);
            }),
            h("td", { class: "heat-last" }, row.note));
    }

    place(name, start) {
        const r = this.rows.findIndex((row) => row.name === name), c = this.columns.findIndex((column) => column.start === start);
        return r >= 0 && c >= 0 ? [r, c] : null;
    }

    cell(at) { return at ? this.table.querySelector(`td[data-r="${at[0]}"][data-c="${at[1]}"]`) : null; }

    move(r, c) {
        const next = [Math.max(0, Math.min(this.rows.length - 1, r)), Math.max(0, Math.min(this.columns.length - 1, c))];
        this.cell(this.focus)?.setAttribute("tabindex", "-1");
        this.focus = next;
        const cell = this.cell(next);
        cell?.setAttribute("tabindex", "0");
        cell?.focus();
    }

    click(event) {
        const cell = event.target.closest("td[data-r]");
        if (!cell) return;
        this.move(Number(cell.dataset.r), Number(cell.dataset.c));
        this.open();
    }

    open() {
        const [r, c] = this.focus;
        this.on_open(this.rows[r], this.columns[c].start);
    }

    key(event) {
        if (!this.focus || event.ctrlKey || event.metaKey || event.altKey) return;
        const [r, c] = this.focus;
        const to = { ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], Home: [r, 0], End: [r, this.columns.length - 1], PageUp: [0, c], PageDown: [this.rows.length - 1, c] }[event.key];
        if (to) { event.preventDefault(); this.move(...to); }
        else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.open(); }
    }

    save() {
        const left = 190, width = 14, height = 18, right = 90;
        const inks = Object.fromEntries([...this.table.querySelectorAll("td[data-level]")].map((td) => [td.dataset.level, [getComputedStyle(td).backgroundColor, getComputedStyle(td).color]]));
        const ticks = tick_columns(this.columns, 9);
        save_picture(this.name, `${this.name}   ◆ drifted`, left + this.columns.length * width + right, 26 + this.rows.length * height, (context) => {
            context.font = "11px system-ui, sans-serif";
            context.fillStyle = css("--ink-soft");
            ticks.forEach((text, c) => context.fillText(text, left + c * width, 12));
            this.rows.forEach((row, r) => {
                const y = 20 + r * height;
                context.fillStyle = css("--ink");
                context.fillText(row.name, 12, y + 12, left - 20);
                context.fillText(row.note ?? "", left + this.columns.length * width + 10, y + 12, right - 14);
                row.cells.forEach((cell, c) => {
                    const [ground, ink] = inks[cell.empty ? "none" : String(cell.level)] ?? ["transparent", "#000"];
                    context.fillStyle = ground;
                    context.fillRect(left + c * width, y, width - 1, height - 1);
                    if (!cell.mark) return;
                    const x = left + c * width + width / 2 - 0.5, m = y + height / 2 - 0.5;
                    context.fillStyle = ink;
                    context.beginPath();
                    context.moveTo(x, m - 4); context.lineTo(x + 4, m); context.lineTo(x, m + 4); context.lineTo(x - 4, m);
                    context.fill();
                });
            });
        });
    }
}
