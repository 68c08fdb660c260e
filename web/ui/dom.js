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

function add(element, children) {
    for (const child of children.flat(Infinity)) {
        if (child === null || child === undefined || child === false) continue;
        element.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
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

// As `replace`, but who works with the keyboard keeps the focus: what has the same id or address gets it.
export function redraw(element, ...children) {
    const had = element.contains(document.activeElement) ? document.activeElement : null, address = had?.getAttribute("href");
    replace(element, ...children);
    const same = had?.id ? `#${CSS.escape(had.id)}` : address ? `[href="${CSS.escape(address)}"]` : null;
    if (same) element.querySelector(same)?.focus({ preventScroll: true });
    return element;
}
