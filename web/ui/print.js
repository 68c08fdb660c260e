// On paper: dark ink on white, whatever the theme, and where and when it was printed, so that who
// holds it finds the page again.
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { is_dark } from "./palette.js";

let theme = null; // what was there before; null: nothing was changed

function set_theme(name) {
    const { dataset } = document.documentElement;
    if (name) dataset.theme = name;
    else delete dataset.theme;
    dispatchEvent(new Event("theme"));
}

export function ready_for_paper() {
    const place = document.getElementById("printed");
    addEventListener("beforeprint", () => {
        const now = Math.floor(Date.now() / 1000) * 1000;
        replace(place, h("b", {}, document.title), " ", location.href, `, printed ${format.time(now)}, ${format.utc(now)}`);
        if (!is_dark()) return;
        theme = { before: document.documentElement.dataset.theme };
        set_theme("light");
    });
    addEventListener("afterprint", () => {
        if (theme) set_theme(theme.before);
        theme = null;
    });
}
