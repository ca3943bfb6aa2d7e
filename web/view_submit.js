// A new job: files, name and seeds, and a pipeline whose fields are drawn from the catalogue.

import {get, isAbort, post} from './api.js';
import {catalogField, fillFields, valuesOf, variantsOf} from './catalog_form.js';
import {announce, h, notify, replace} from './dom.js';
import {heading, problem} from './parts.js';
import {dataPanel} from './submit_data.js';
import {layerRules} from './submit_rules.js';
import {summary} from './submit_summary.js';

// In the order in which the pipeline does it; others of the catalogue follow.
const GROUPS = {
    weights: ['Weights', true],
    activations: ['Activations', true],
    optimize: ['Optimization', false],
    preprocess: ['Before quantizing', false],
    postprocess: ['Bias tuning', false],
    other: ['Samples, report and artifacts', false],
};

function groupOf(row) {
    const name = row.name.includes('.') ? row.name.split('.')[0] : 'other';
    return name in GROUPS ? name : 'other';
}

/** Names like "a=b, c=d" as an object; throws a sentence. */
function parseLabels(text) {
    const pairs = text.split(',').map(part => part.trim()).filter(Boolean).map(part => {
        const at = part.indexOf('=');
        if (at < 1)
            throw new Error(`“${part}” is no label: key=value is wanted`);
        return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    });
    const keys = pairs.map(([key]) => key);
    const twice = keys.find((key, i) => keys.indexOf(key) < i);
    if (twice !== undefined)
        throw new Error(`“${twice}” is there twice; a job has one value of each label`);
    return Object.fromEntries(pairs);
}

/** A whole number; throws a sentence. What is allowed is the daemon's to say. */
function parsePriority(text) {
    if (!/^[+-]?\d+$/.test(text))
        throw new Error(`“${text}” is no priority: a whole number is wanted`);
    return Number(text);
}

/** "3" as the number of seeds, "0, 7" as their list; throws a sentence. */
function parseSeeds(text) {
    const words = text.split(/[\s,]+/).filter(Boolean);
    const numbers = words.map(Number);
    const isCount = numbers.length === 1 && !text.includes(',');
    if (numbers.length === 0 || isCount && numbers[0] === 0 ||
        numbers.some(seed => !Number.isInteger(seed) || seed < 0))
        throw new Error(`“${text}” are no seeds: how many, or a list like 0, 1, 2`);
    return isCount ? numbers[0] : numbers;
}

/** Seeds as parseSeeds() reads them: those from 0 on as their number. */
function seedText(seeds) {
    if (seeds.every((seed, i) => seed === i))
        return String(seeds.length);
    return seeds.length === 1 ? `${seeds[0]},` : seeds.join(', ');
}

const seedCount = seeds => Array.isArray(seeds) ? seeds.length : seeds;

/* The fields that are not in the catalogue: {key, label, value, parse, help}. */
const PLAIN = [
    {key: 'name', label: 'Name', value: '', parse: text => text || undefined,
        help: 'For people; it need not be unique.'},
    {key: 'labels', label: 'Labels', value: '', placeholder: 'team=audio, study=table2',
        parse: text => text ? parseLabels(text) : undefined, help: 'To find it again.'},
    {key: 'seeds', label: 'Seeds', value: '3', parse: parseSeeds,
        help: 'How many, or a list like 0, 1, 2: each variant is run once with each.'},
    {key: 'priority', label: 'Priority', value: '', placeholder: '0',
        parse: text => text ? parsePriority(text) : undefined,
        help: 'Higher ones go first; above the limit only by administrators.'},
];

function plainField(row, onchange) {
    const id = `job-${row.key}`;
    const wrong = h('p', {class: 'wrong', id: `${id}-wrong`, role: 'alert', hidden: true});
    const input = h('input', {id, type: 'text', value: row.value, autocomplete: 'off',
        placeholder: row.placeholder ?? '', 'aria-describedby': `${id}-help ${id}-wrong`,
        oninput: onchange});
    const field = {row, input};
    field.fail = sentence => {
        wrong.textContent = sentence;
        wrong.hidden = !sentence;
        input.setAttribute('aria-invalid', String(Boolean(sentence)));
    };
    field.value = () => {
        field.bad = false;
        try {
            field.fail('');
            return row.parse(input.value.trim());
        } catch (error) {
            field.bad = true;
            field.fail(error.message);
            return undefined;
        }
    };
    field.element = h('div', {class: 'field'}, h('label', {for: id}, row.label), input, wrong,
        h('p', {class: 'help', id: `${id}-help`}, row.help));
    return field;
}

/* The form and what it says. */
class Form {
    constructor(catalog, onchange) {
        this.data = dataPanel(onchange);
        this.plain = PLAIN.map(row => plainField(row, onchange));
        this.fields = catalog.pipeline.map((row, i) => catalogField(row, onchange, `field-${i}`));
        this.rules = layerRules(catalog.layers, onchange);
        this.element = h('form', {class: 'form', novalidate: true,
            onsubmit: event => event.preventDefault()},
        this.data.element,
        h('section', {class: 'panel'}, h('h2', null, 'Job'),
            h('div', {class: 'fields'}, this.plain.map(field => field.element))),
        h('section', {class: 'panel'}, h('h2', null, 'Pipeline'),
            Object.keys(GROUPS).map(name => this.group(name)),
            h('details', {class: 'group'}, h('summary', null, 'Layers of their own'),
                this.rules.element)));
    }

    group(name) {
        const [title, open] = GROUPS[name];
        const fields = this.fields.filter(field => groupOf(field.row) === name);
        if (fields.length === 0)
            return null;
        return h('details', {class: 'group', open}, h('summary', null, title),
            h('div', {class: 'fields'}, fields.map(field => field.element)));
    }

    // The order of the members is that of the README's examples.
    spec() {
        const plain = Object.fromEntries(this.plain.map(field => [field.row.key, field.value()]));
        const {name, labels, seeds, priority} = plain;
        const pipeline = valuesOf(this.fields);
        const rules = this.rules.values();
        if (rules.length > 0)
            pipeline.layers = rules;
        return {name, labels, priority, ...this.data.values(), seeds, pipeline};
    }

    /* Why it can't be sent yet: a sentence, or ''. */
    missing() {
        const fields = [...this.plain, ...this.fields, ...this.rules.fields().flat()];
        return fields.some(field => field.bad) ? 'A value is not possible; it is marked.'
            : this.data.missing();
    }

    /* The field that a JSON pointer of a problem is about. */
    find(pointer) {
        const path = (pointer ?? '').split('/').slice(1);
        if (path[0] !== 'pipeline')
            return this.plain.find(field => field.row.key === path[0]);
        if (path[1] === 'layers') {
            const fields = this.rules.fields()[Number(path[2])] ?? [];
            return fields.find(field => path.slice(3).join('.').startsWith(field.row.name));
        }
        const name = path.slice(1).join('.');
        return this.fields.find(field => name === field.row.name ||
            name.startsWith(`${field.row.name}.`));
    }

    /* Fills in what an earlier job had. */
    async fill(job) {
        const fetchSet = set => set ? get(`/v1/datasets/${set.id ?? set}`) : null;
        const [model, calibration, evaluation, labels] = await Promise.all([
            get(`/v1/models/${job.model}`), fetchSet(job.calibration), fetchSet(job.evaluation),
            fetchSet(job.evaluation?.labels)]);
        Object.entries({model, calibration, evaluation, labels}).forEach(([name, object]) => {
            if (object)
                this.data.slots[name].set(object);
        });
        const text = {name: job.name, seeds: seedText(job.seeds), priority: job.priority || '',
            labels: Object.entries(job.labels).map(pair => pair.join('=')).join(', ')};
        this.plain.forEach(field => { field.input.value = text[field.row.key]; });
        fillFields(this.fields, job.pipeline);
        this.rules.fill(job.pipeline.layers ?? []);
    }
}

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))]
    .map(byte => byte.toString(16).padStart(2, '0')).join('');

function start(catalog, place) {
    let key = newKey(); // the same job is not made twice by an impatient hand
    let ready = false;
    let marked = null; // the field that the daemon refuses
    const form = new Form(catalog, () => ready && changed());
    const side = summary(send, refused);

    function changed() {
        key = newKey();
        replace(place);
        const spec = form.spec();
        side.show(JSON.parse(JSON.stringify(spec)), variantsOf(form.fields),
            seedCount(spec.seeds ?? 0), form.missing());
    }

    function refused(document_) {
        const field = document_ ? form.find(document_.pointer) : null;
        if (marked && !marked.bad)
            marked.fail('');
        marked = field;
        field?.fail(document_.detail);
        replace(place, document_ && !field && problem(document_, 'The job would be refused'));
    }

    function refuse(document_) {
        refused(document_);
        const field = form.find(document_.pointer);
        field?.element.closest('details')?.setAttribute('open', '');
        (field?.element.querySelector('input, .options button') ?? place).focus();
        announce(document_.detail);
    }

    async function send() {
        side.button.disabled = true;
        try {
            const job = await post('/v1/jobs', form.spec(), {'Idempotency-Key': key});
            notify(`${job.name || job.id} is submitted`);
            location.hash = `#/jobs/${job.id}`;
        } catch (error) {
            if (!error.problem)
                throw error;
            refuse(error.problem);
            side.button.disabled = false;
        }
    }

    ready = true;
    return {form, side, changed};
}

export const view = {
    title: () => 'Submit a job',

    async render(root, params, query, signal) {
        const catalog = await get('/v1/catalog', {signal});
        const place = h('div', {tabindex: -1});
        const {form, side, changed} = start(catalog, place);
        replace(root, heading('Submit a job'), place,
            h('div', {class: 'submit'}, form.element, side.element));
        const from = query.get('from');
        if (from) {
            try {
                await form.fill(await get(`/v1/jobs/${encodeURIComponent(from)}`, {signal}));
            } catch (error) {
                if (isAbort(error))
                    throw error;
                notify(`${from} can’t be taken as a template: ${error.message}`, 'error');
            }
        }
        changed();
    },
};
