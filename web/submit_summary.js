// What will be sent, beside the form: how many runs, how long, and the same as JSON and for curl.

import {ApiError, hasToken, post} from './api.js';
import {copyButton, h, replace} from './dom.js';
import {bytes, duration, plural} from './format.js';
import {me, quotaOf} from './me.js';

const LATER = 500; // ms of quiet until the daemon is asked

/** JSON to be read: indented, but lists of plain values on one line. */
export function pretty(value, indent = '') {
    const inner = `${indent}  `;
    if (value === null || typeof value !== 'object')
        return JSON.stringify(value);
    if (Array.isArray(value) && value.every(one => one === null || typeof one !== 'object'))
        return `[${value.map(one => JSON.stringify(one)).join(', ')}]`;
    const members = Array.isArray(value) ? value.map(one => pretty(one, inner))
        : Object.entries(value).map(([key, one]) =>
            `${JSON.stringify(key)}: ${pretty(one, inner)}`);
    const [open, close] = Array.isArray(value) ? '[]' : '{}';
    return members.length === 0 ? open + close
        : `${open}\n${inner}${members.join(`,\n${inner}`)}\n${indent}${close}`;
}

const quoted = text => `'${text.replaceAll('\'', '\'\\\'\'')}'`;

/** The call of curl that does the same as the button. */
export function curlOf(spec) {
    return [
        `curl ${location.origin}/v1/jobs \\`,
        ...hasToken() ? ['    -H "Authorization: Bearer $PTQD_TOKEN" \\'] : [],
        '    -H \'Content-Type: application/json\' \\',
        `    -d ${quoted(JSON.stringify(spec))}`,
    ].join('\n');
}

/** A text with a button that copies it. */
export function copyBox(title, text) {
    return h('section', {class: 'copybox', 'aria-label': title},
        h('header', null, h('h3', null, title), copyButton('Copy', () => text)),
        h('pre', {tabindex: 0}, text));
}

function estimateText(answer) {
    const parts = [];
    if (Number.isFinite(answer.seconds))
        parts.push(`about ${duration(answer.seconds)}`);
    if (Number.isFinite(answer.memory_bytes))
        parts.push(`${bytes(answer.memory_bytes)} of memory for a run`);
    const text = parts.join(', ');
    return answer.problem ? `${text}. A run would fail: ${answer.problem}` : text;
}

/** {element, show(spec, variants, seeds, missing)}; `onproblem(document)` when the daemon would
 * refuse the job, null when it would not; `send` is called by the button. */
export function summary(send, onproblem) {
    const total = h('p', {class: 'total'});
    const how = h('p', {class: 'note'});
    const estimate = h('p', {class: 'note', 'aria-live': 'polite'});
    const quota = h('p', {class: 'note'});
    me().then(answer => { quota.textContent = quotaOf(answer); }, () => null);
    const button = h('button', {type: 'submit', class: 'primary', onclick: send}, 'Submit');
    const boxes = h('div', {class: 'view'});
    let timer = null;
    let asked = null; // the newest question
    let there = true; // the daemon estimates

    async function ask(spec) {
        try {
            const answer = await post('/v1/jobs/estimate', spec);
            if (asked !== spec)
                return;
            estimate.textContent = estimateText(answer);
            estimate.title = answer.basis ?? '';
            onproblem(null);
        } catch (error) {
            if (!(error instanceof ApiError))
                throw error;
            if (asked !== spec)
                return;
            estimate.textContent = '';
            if (error.status === 405)
                there = false; // an older daemon
            else
                onproblem(error.problem);
        }
    }

    function show(spec, variants, seeds, missing) {
        total.textContent = plural(variants * seeds, 'run');
        how.textContent = `${plural(variants, 'variant')} × ${plural(seeds, 'seed')}`;
        button.disabled = missing !== '';
        estimate.textContent = missing || (there ? estimate.textContent : '');
        replace(boxes, copyBox('As JSON', pretty(spec)),
            copyBox('With curl', curlOf(spec)));
        clearTimeout(timer);
        asked = spec;
        if (missing === '' && there)
            timer = setTimeout(() => ask(spec), LATER);
    }

    return {
        button,
        show,
        element: h('aside', {class: 'panel', 'aria-label': 'The job'},
            h('div', null, total, how, estimate, quota), button, boxes),
    };
}
