// Pieces that several views show.

import {fetchBlob} from './api.js';
import {download, h, notify} from './dom.js';
import {bytes, percent} from './format.js';

/** The head of a view: its only h1, which gets the focus after navigation, and what can be done. */
export function heading(title, ...actions) {
    return h('header', {class: 'head'}, h('h1', {tabindex: -1}, title),
        actions.flat().some(Boolean) && h('div', {class: 'actions'}, actions));
}

/** The way from the queue to here: [[text, href], …]; the last one is this page. */
export function crumbs(steps) {
    return h('nav', {class: 'crumbs', 'aria-label': 'Breadcrumb'}, h('ol', null,
        steps.map(([text, href], i) => h('li', null, i < steps.length - 1
            ? h('a', {href}, text) : h('span', {'aria-current': 'page'}, text)))));
}

/** A state as a word with a mark that does not need colour to be told apart. */
export const badge = state => h('span', {class: `badge ${state}`}, state);

/** `fraction` from 0 to 1; null when it is not known. `label` says what makes progress. */
export function progressBar(fraction, label) {
    const known = typeof fraction === 'number' && Number.isFinite(fraction);
    const fill = h('span', {class: 'fill'});
    fill.style.inlineSize = `${known ? 100 * Math.min(1, Math.max(0, fraction)) : 0}%`;
    return h('span', {
        class: 'progress',
        role: 'progressbar',
        'aria-label': label,
        'aria-valuemin': 0,
        'aria-valuemax': 100,
        'aria-valuenow': known && Math.round(100 * fraction),
        'aria-valuetext': known ? percent(fraction, 0) : 'not known',
    }, fill);
}

/** A problem document in words. */
export function problem(document, title = 'This did not work') {
    return h('div', {class: 'problem', role: 'alert'},
        h('strong', null, title),
        h('p', null, document.detail || document.title || 'No reason was given.'),
        h('p', {class: 'note'}, [document.code,
            document.status ? `status ${document.status}` : null,
            document.pointer && `at ${document.pointer}`].filter(Boolean).join(' · ')));
}

/** In place of a list that has nothing in it. */
export const empty = (text, ...more) => h('div', {class: 'nothing'}, h('p', null, text), more);

/** A button that fetches an artifact of a run with the token. */
export function artifactLink(run, artifact) {
    const path = `/v1/runs/${encodeURIComponent(run)}/artifacts/` +
        encodeURIComponent(artifact.name);
    const fetchIt = async () => {
        try {
            download(`${run}-${artifact.name}`, await fetchBlob(path));
        } catch (error) {
            notify(error.message, 'error');
        }
    };
    return h('button', {type: 'button', class: 'small', onclick: fetchIt},
        artifact.name, ' ', h('span', {class: 'note'}, bytes(artifact.bytes)));
}
