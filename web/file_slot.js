// One file of a job: dropped, picked, or chosen among those that the daemon has. What it has already
// is recognised by its digest and not sent again.

import {get, upload} from './api.js';
import {announce, h, replace} from './dom.js';
import {bytes, count, number, plural} from './format.js';
import {progressBar} from './parts.js';

const DIGEST_LIMIT = 512 << 20; // bytes: WebCrypto wants the whole file in memory

const hex = buffer => [...new Uint8Array(buffer)]
    .map(byte => byte.toString(16).padStart(2, '0')).join('');

/** "sha256:…" of a file; null where it can't be told: not a secure context, or too large. */
async function digestOf(file) {
    if (!globalThis.crypto?.subtle || file.size > DIGEST_LIMIT)
        return null;
    return `sha256:${hex(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()))}`;
}

// 404 is the usual answer for a new file.
async function known(kind, id) {
    try {
        return await get(`/v1/${kind}/${id}`);
    } catch (error) {
        if (error.status === 404)
            return null;
        throw error;
    }
}

const baseName = file => file.name.replace(/\.[a-z0-9]+$/i, '').slice(0, 100);

/** The description of a file that is stored afterwards; `ontell(text, fraction)`. */
export async function store(kind, file, ontell) {
    ontell('computing the digest', null);
    const id = await digestOf(file);
    const there = id && await known(kind, id);
    if (there)
        return {...there, sent: false};
    ontell('uploading', 0);
    const name = encodeURIComponent(baseName(file));
    const query = id ? `?name=${name}&id=${encodeURIComponent(id)}` : `?name=${name}`;
    const stored = await upload(`/v1/${kind}${query}`, file, fraction =>
        ontell(fraction < 1 ? 'uploading' : 'being looked at', fraction));
    return {...stored, sent: true};
}

const TYPES = {f: 'float', i: 'int', u: 'uint'};

/* NumPy's "<f4" as "float32". */
function typeName(dtype) {
    const [, kind, size] = dtype.match(/([fiu])(\d)$/) ?? [];
    return kind ? TYPES[kind] + 8 * size : dtype;
}

/** A file in a few words. */
function facts(object) {
    if (object.format !== undefined) {
        const layers = object.layers ?? [];
        const total = key => layers.reduce((sum, layer) => sum + (layer[key] ?? 0), 0);
        return [object.format, bytes(object.bytes),
            layers.length > 0 && plural(layers.length, 'layer'),
            total('macs') > 0 && `${count(total('macs'))} MACs`].filter(Boolean).join(' · ');
    }
    const shape = object.shape?.length > 0 ? object.shape.map(size => number(size)).join(' × ') : '';
    return [plural(object.samples, 'sample'), shape && `each ${shape}`, typeName(object.dtype),
        object.labels && plural(object.classes, 'class').replace('classs', 'classes')]
        .filter(Boolean).join(' · ');
}

const titleOf = object => object.name || object.id.replace('sha256:', '').slice(0, 12);

async function choices(kind, wanted) {
    const {items} = await get(`/v1/${kind}?limit=100`);
    return items.filter(wanted);
}

/** {title, kind: 'models' | 'datasets', hint, wanted(object), onchange}: {element, value, set}.
 * `value` is the description of the file, null without one. */
export function fileSlot({title, kind, hint, wanted = () => true, onchange}) {
    const slot = {value: null};
    const inside = h('div', {class: 'field'});
    const input = h('input', {type: 'file', 'aria-label': `${title}: pick a file`,
        tabindex: -1, onchange: () => take(input.files[0])});
    slot.element = h('div', {
        class: 'slot',
        role: 'group',
        'aria-label': title,
        ondragover: event => { event.preventDefault(); slot.element.classList.add('over'); },
        ondragleave: () => slot.element.classList.remove('over'),
        ondrop: event => {
            event.preventDefault();
            slot.element.classList.remove('over');
            take(event.dataTransfer.files[0]);
        },
    }, h('h3', null, title), inside, input);

    async function take(file) {
        if (!file)
            return;
        const text = h('p', {class: 'note', role: 'status'});
        const bar = h('div');
        replace(inside, h('p', {class: 'chosen'}, file.name), bar, text);
        try {
            slot.set(await store(kind, file, (step, fraction) => {
                text.textContent = `${step} …`;
                replace(bar, progressBar(fraction, `${title}: ${step}`));
            }));
            announce(`${file.name} is there`);
        } catch (error) {
            draw(error.message);
        }
        input.value = ''; // the same file may be picked again
    }

    async function fill(select) {
        try {
            const list = await choices(kind, wanted);
            replace(select, h('option', {value: ''}, list.length > 0 ? 'Stored …' : 'None stored'),
                list.map(object => h('option', {value: object.id}, titleOf(object))));
            select.disabled = list.length === 0;
        } catch {
            select.disabled = true; // a file can still be sent
        }
    }

    function stored() {
        const select = h('select', {
            'aria-label': `${title}: choose a stored one`,
            onchange: async () => {
                if (select.value)
                    slot.set(await get(`/v1/${kind}/${select.value}`));
            },
        }, h('option', {value: ''}, 'Stored …'));
        fill(select);
        return select;
    }

    function draw(wrong) {
        slot.element.classList.toggle('done', slot.value !== null);
        if (slot.value) {
            replace(inside, h('p', {class: 'chosen'}, titleOf(slot.value)),
                h('p', {class: 'note'}, facts(slot.value)),
                slot.value.sent === false && h('p', {class: 'note'},
                    'Already there: nothing was sent.'),
                h('div', {class: 'picks'}, h('button', {type: 'button', class: 'small',
                    'aria-label': `Change ${title}`, onclick: () => slot.set(null)}, 'Change')));
            return;
        }
        replace(inside, h('p', {class: 'note'}, hint),
            h('div', {class: 'picks'}, h('button', {type: 'button', class: 'small',
                'aria-label': `${title}: pick a file`, onclick: () => input.click()},
            'Pick a file'), h('span', {class: 'note'}, 'or drop it here')),
            stored(), wrong && h('p', {class: 'wrong', role: 'alert'}, wrong));
    }

    slot.set = object => {
        slot.value = object;
        draw();
        onchange(slot);
    };
    draw();
    return slot;
}
