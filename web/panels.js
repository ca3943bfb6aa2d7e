// The panels that pages of a job, a run and a network are made of.

import {h} from './dom.js';

/** A panel with a heading. */
export function section(title, ...children) {
    return h('section', {class: 'panel'}, h('h2', null, title), children);
}

/** Names and values of what is known: pairs whose value is not null, undefined or empty. */
export function facts(pairs) {
    return h('dl', {class: 'facts'}, pairs.filter(([, value]) => value !== null &&
        value !== undefined && value !== '').map(([name, value]) =>
        h('div', null, h('dt', null, name), h('dd', null, value))));
}

/** Amounts as bars beside their names: [{name, value, text}]. */
export function amounts(rows, caption) {
    const most = Math.max(...rows.map(row => row.value), 0);
    return h('table', {class: 'amounts'}, h('caption', {class: 'offscreen'}, caption),
        h('tbody', null, rows.map(({name, value, text}) => {
            const fill = h('span', {class: 'fill'});
            fill.style.inlineSize = `${most > 0 ? 100 * value / most : 0}%`;
            return h('tr', null, h('th', {scope: 'row'}, name),
                h('td', {class: 'right'}, text), h('td', {class: 'extent'}, fill));
        })));
}

/** Says that something is not there, and why. */
export const missing = text => h('p', {class: 'note missing'}, text);

/** Tells the frame whether events come: 'live' or 'lost'. */
export function tellConnection(state) {
    document.dispatchEvent(new CustomEvent('connection', {detail: state}));
}
