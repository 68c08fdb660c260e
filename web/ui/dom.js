// Elements from data. Texts only ever become text nodes: a name from outside cannot be markup.

function fill(element, props, children) {
    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (name === "class") element.setAttribute("class", value);
        else if (name === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
        else if (name in element && typeof value !== "string") element[name] = value;
        else element.setAttribute(name, value === true ? "" : value);
    }
    add(element, children);
    return element;
}

const is_there = (child) => child !== null && child !== undefined && child !== false;
const nodes = (children) => children.flat(Infinity).filter(is_there).map((c) => (c instanceof Node ? c : document.createTextNode(String(c))));

function add(element, children) {
    element.append(...nodes(children));
}

export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(props ?? {}))
        if (value !== null && value !== undefined) element.setAttribute(name, value);
    add(element, children);
    return element;
};

export function replace(element, ...children) {
    element.replaceChildren();
    add(element, children);
    return element;
}

// Who works with the keyboard keeps the focus: what has the same id or address gets it.
function keep_focus(element, work) {
    const had = element.contains(document.activeElement) ? document.activeElement : null, address = had?.getAttribute("href");
    work();
    const same = had?.id ? `#${CSS.escape(had.id)}` : address ? `[href="${CSS.escape(address)}"]` : null;
    if (same && !had.isConnected) element.querySelector(same)?.focus({ preventScroll: true });
    else if (had?.isConnected && had !== document.activeElement) had.focus({ preventScroll: true });
    return element;
}

// As `replace`, with the focus.
export const redraw = (element, ...children) => keep_focus(element, () => replace(element, ...children));

// The same, but a child that would look as before stays: a list that is open is not closed, and a click that has begun
// arrives, however often the page is drawn. Its listeners must not depend on what is not shown.
export function settle(element, ...children) {
    const next = nodes(children), now = [...element.childNodes];
    return keep_focus(element, () => {
        if (now.length !== next.length) element.replaceChildren(...next);
        else next.forEach((node, i) => { if (!alike(now[i], node)) now[i].replaceWith(node); });
    });
}

// A table in a box that scrolls by itself. A head is a text, "" over what needs none, or an element.
export function plain_table(caption, heads, rows) {
    const head = (t) => (t instanceof Node ? t : t ? h("th", { scope: "col" }, t) : h("td", {}));
    return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" }, h("caption", { class: "unseen" }, caption),
        h("thead", {}, h("tr", {}, heads.map(head))), h("tbody", {}, rows)));
}

const chosen = (node) => [...(node.querySelectorAll?.("select") ?? [])].map((select) => select.value).join("\n");
const alike = (a, b) => a === b || (a.isEqualNode(b) && chosen(a) === chosen(b));
