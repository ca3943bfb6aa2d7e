// Building elements. Strings become text nodes, so nothing that a user named can become markup.

const SVG = 'http://www.w3.org/2000/svg';

// What turns the direction of the text behind it, in names that people gave: "a\u202egnp.exe" would
// read as another name. The tables in text do the same.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A text as it may be shown. */
export const visible = text => text.replace(TURNS, '\ufffd');

function setAttribute(node, name, value) {
    if (value === null || value === undefined || value === false)
        return;
    if (typeof value === 'function')
        node.addEventListener(name.replace(/^on/, ''), value);
    else if (name === 'value' || name === 'checked')
        node[name] = value; // the attribute would only be the default of a field
    else
        node.setAttribute(name, value === true ? '' : String(value));
}

function append(node, children) {
    for (const child of children.flat(Infinity)) {
        if (child === null || child === undefined || child === false)
            continue;
        node.append(child instanceof Node ? child : visible(String(child)));
    }
}

function build(node, attributes, children) {
    append(node, children);
    // Behind the children: a <select> takes its value only when its options are there.
    for (const [name, value] of Object.entries(attributes ?? {}))
        setAttribute(node, name, value);
    return node;
}

/** h('a', {class: 'x', href: '#/', onclick: fn, 'aria-label': '…'}, 'text', node, [nodes], null).
 * An attribute that is null, undefined or false is left out. */
export function h(tag, attributes, ...children) {
    return build(document.createElement(tag), attributes, children);
}

/** The same for SVG elements. */
export function svg(tag, attributes, ...children) {
    return build(document.createElementNS(SVG, tag), attributes, children);
}

/* What finds the element that has the focus again when its surroundings are made anew. */
function focusedWithin(node) {
    const active = document.activeElement;
    if (active === node || !node.contains(active))
        return null;
    if (active.id)
        return `#${CSS.escape(active.id)}`;
    for (const name of ['href', 'aria-label']) {
        if (active.hasAttribute(name))
            return `[${name}="${CSS.escape(active.getAttribute(name))}"]`;
    }
    return null;
}

/** Puts these children in place of those that are there; the same kinds as of h(). The focus stays
 * on what has the same id, address or label: what is drawn often must not take it away. */
export function replace(node, ...children) {
    const focused = focusedWithin(node);
    node.replaceChildren();
    append(node, children);
    if (focused !== null)
        node.querySelector(focused)?.focus({preventScroll: true});
    return node;
}

/** Says a sentence to screen readers, through the page's live region. */
export function announce(text) {
    const region = document.getElementById('live');
    if (region)
        region.textContent = text;
}

/** A sentence for everybody, for a few seconds; `kind` is 'note' or 'error'. */
export function notify(text, kind = 'note') {
    const place = document.getElementById('notices');
    if (!place)
        return;
    const notice = h('div', {class: `notice ${kind}`}, h('span', null, text),
        h('button', {class: 'plain', 'aria-label': 'Dismiss', onclick: () => notice.remove()},
            '×'));
    place.append(notice);
    setTimeout(() => notice.remove(), kind === 'error' ? 12000 : 4000);
    announce(text);
}

/** Offers bytes or text as a file. */
export function download(name, content, type) {
    const blob = content instanceof Blob ? content : new Blob([content], {type});
    const url = URL.createObjectURL(blob);
    h('a', {href: url, download: name}).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A button that copies what `text` gives to the clipboard. */
export function copyButton(label, text) {
    const button = h('button', {
        type: 'button',
        class: 'small',
        onclick: async () => {
            await copy(text());
            button.textContent = 'Copied';
            announce('Copied');
            setTimeout(() => { button.textContent = label; }, 1500);
        },
    }, label);
    return button;
}

// Outside of secure contexts there is no clipboard object, but a selection can be copied.
async function copy(text) {
    if (navigator.clipboard && window.isSecureContext)
        return navigator.clipboard.writeText(text);
    const area = h('textarea', {class: 'offscreen', value: text, 'aria-hidden': 'true'});
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
}
