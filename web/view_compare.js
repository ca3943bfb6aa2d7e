// Jobs and variants side by side. The address has them all: #/compare?jobs=j1,j2&variants=j3:v001.

import {get} from './api.js';
import {line, scatter} from './chart.js';
import {bestVariant, compareTable} from './compare_table.js';
import {h, notify, replace} from './dom.js';
import {accuracy, bops, headline, percent} from './format.js';
import {section} from './panels.js';
import {crumbs, empty, heading} from './parts.js';
import {errorSeries} from './run_layers.js';
import {findStored, getIfKnown} from './stored.js';
import {bitsKey, commonMeasure, seriesOverBits, variantWords} from './variants.js';

const offered = 100; // newest jobs

// ---- the address ----

function listOf(query, key) {
    return (query.get(key) ?? '').split(',').map(name => name.trim()).filter(Boolean);
}

/** ["j1", "j2:v000"] of a query, jobs first. */
export function namesOf(query) {
    return [...new Set([...listOf(query, 'jobs'), ...listOf(query, 'variants')])];
}

export function addressOf(names) {
    const query = new URLSearchParams();
    const jobs = names.filter(name => !name.includes(':'));
    const variants = names.filter(name => name.includes(':'));
    if (jobs.length > 0)
        query.set('jobs', jobs.join(','));
    if (variants.length > 0)
        query.set('variants', variants.join(','));
    const text = query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
    return text === '' ? '#/compare' : `#/compare?${text}`;
}

// ---- loading ----

async function loadItem(name, signal) {
    const [id, variantId] = name.split(':', 2);
    const address = `/v1/jobs/${encodeURIComponent(id)}`;
    const [job, report] = await Promise.all([get(address, {signal}),
        get(`${address}/report`, {signal})]);
    const variant = variantId === undefined ? bestVariant(report)
        : report.variants.find(each => each.id === variantId) ?? null;
    if (variantId !== undefined && variant === null)
        throw new Error(`Job ${id} has no variant ${variantId}.`);
    const [model, evaluation] = await Promise.all([findStored('models', job.model, signal),
        findStored('datasets', job.evaluation, signal)]);
    return {name, kind: variantId === undefined ? 'job' : 'variant', job, report, variant, model,
        evaluation};
}

// Those that are not there are left out, and named.
async function loadItems(names, signal) {
    const found = await Promise.allSettled(names.map(name => loadItem(name, signal)));
    signal.throwIfAborted();
    const lost = names.filter((_, index) => found[index].status === 'rejected');
    const reasons = found.filter(each => each.status === 'rejected').map(each => each.reason);
    const serious = reasons.find(reason => reason.status !== undefined && reason.status !== 404);
    if (serious !== undefined)
        throw serious;
    return {items: found.filter(each => each.status === 'fulfilled').map(each => each.value), lost};
}

// ---- plots: an item has its colour in all of them ----

const labelOf = item => (item.job.name ? `${item.name} ${item.job.name}` : item.name);

/** Jobs that sweep widths: the best variant at each width. */
function widthsPlot(items, measure) {
    const jobs = items.filter(({kind, report}) => kind === 'job' &&
        bitsKey(report.variants) !== null);
    const lines = jobs.map(item => {
        const points = new Map();
        for (const each of seriesOverBits(item.report.variants, measure).series) {
            for (const {x, variant} of each.points) {
                const value = measure.of(variant);
                if (!(points.get(x)?.mean >= value.mean))
                    points.set(x, value);
            }
        }
        return {label: labelOf(item), color: items.indexOf(item), points};
    });
    const x = [...new Set(lines.flatMap(({points}) => [...points.keys()]))].sort((a, b) => a - b);
    return x.length === 0 ? null : line({
        title: 'Best by bits',
        note: `The best variant of ${lines.length === 1 ? lines[0].label : 'each job'} at each ` +
            'width; bars are one standard deviation.',
        x,
        series: lines.map(({label, color, points}) => ({label, color,
            values: x.map(bits => points.get(bits)?.mean ?? null),
            error: x.map(bits => points.get(bits)?.std ?? null)})),
        apart: true,
        xlabel: 'bits',
        ylabel: measure.title,
        formatX: String,
        stepsX: 'whole',
        formatY: value => percent(value, 1),
        padX: 0.06,
    });
}

function pointOf(item, variant, measure) {
    const {mean, std} = measure.of(variant);
    return {x: variant.cost?.bops, y: mean, error: std, variant,
        name: `${item.job.id} ${variant.id}: ${variantWords(variant.choices)}`};
}

function costsPlot(items, measure) {
    const series = items.map((item, index) => ({label: labelOf(item), color: index,
        points: (item.kind === 'job' ? item.report.variants : [item.variant])
            .filter(variant => variant.cost && measure.of(variant)?.mean != null)
            .map(variant => pointOf(item, variant, measure))})).filter(({points}) => points.length > 0);
    return series.length === 0 ? null : scatter({
        title: `${headline(measure.title)} by bit operations`,
        note: 'Choose a point to see a run of the variant.',
        series,
        xlabel: 'bit operations',
        ylabel: measure.title,
        formatX: bops,
        formatY: value => accuracy(value, 1),
        onselect: point => {
            location.hash = `#/runs/${encodeURIComponent(point.variant.runs[0])}`;
        },
    });
}

/** The error along the network of items of the same network, of the first seed of each. */
async function layersPlot(items, signal) {
    const same = items.filter(item => item.variant?.succeeded > 0 &&
        item.model.id === items[0].model.id);
    if (same.length < 2)
        return null;
    const answers = await Promise.all(same.map(async ({variant}) => {
        for (const run of variant.runs) {
            const answer = await getIfKnown(`/v1/runs/${encodeURIComponent(run)}/layers`, signal);
            if (answer !== null)
                return answer.layers;
        }
        return null;
    }));
    const known = same.map((item, index) => ({item, layers: answers[index]}))
        .filter(({layers}) => layers !== null);
    return known.length < 2 ? null : errorSeries(known.map(({item, layers}) =>
        ({label: `${item.name} ${item.kind === 'job' ? item.variant.id : ''}`.trim(),
            color: items.indexOf(item), layers})));
}

// ---- the view ----

function addForm(page) {
    const list = h('datalist', {id: 'known-jobs'}, page.jobs.map(job =>
        h('option', {value: job.id}, `${job.name} ${job.state}`)));
    const input = h('input', {id: 'add-name', list: 'known-jobs', placeholder: 'j1 or j1:v000',
        autocomplete: 'off', required: true});
    return h('form', {class: 'inline', onsubmit: event => {
        event.preventDefault();
        const names = input.value.split(/[\s,]+/).filter(Boolean);
        location.hash = addressOf([...new Set([...page.names, ...names])]);
    }}, h('label', {for: 'add-name'}, 'Add a job or variant'), input, list,
    h('button', {type: 'submit'}, 'Add'));
}

function recentJobs(page) {
    const jobs = page.jobs.filter(job => job.progress.succeeded > 0).slice(0, 12);
    if (jobs.length === 0)
        return null;
    const boxes = jobs.map(job => h('input', {type: 'checkbox', value: job.id}));
    return h('form', {class: 'recent', onsubmit: event => {
        event.preventDefault();
        const names = boxes.filter(box => box.checked).map(box => box.value);
        if (names.length > 0)
            location.hash = addressOf(names);
        else
            notify('Choose jobs first.');
    }}, h('fieldset', null, h('legend', null, 'Jobs that have results'),
        jobs.map((job, index) => h('label', {class: 'choose'}, boxes[index],
            `${job.id} ${job.name}`))),
    h('button', {type: 'submit', class: 'primary'}, 'Compare'));
}

function content(page) {
    if (page.items.length === 0)
        return section('Comparison', empty('Nothing is chosen yet: add jobs here, or choose ' +
            'variants in the table of a job.'), recentJobs(page));
    const place = h('div');
    const box = h('input', {type: 'checkbox', checked: true, onchange: () => show()});
    const show = () => replace(place, compareTable(page.items, {onlyDifferent: box.checked,
        onremove: item => {
            location.hash = addressOf(page.names.filter(name => name !== item.name));
        }}));
    show();
    const measure = commonMeasure(page.items.map(({report}) => report));
    const plots = [widthsPlot(page.items, measure), costsPlot(page.items, measure), page.layersPlot]
        .filter(plot => plot !== null);
    return [section('Comparison', page.items.length > 1
        ? h('label', {class: 'choose'}, box, 'only choices that differ') : null, place),
    plots.length > 0 ? section('Plots', h('div', {class: 'plots'}, plots)) : null];
}

export const view = {
    title: () => 'Compare',
    async render(root, params, query, signal) {
        const names = namesOf(query);
        const [{items, lost}, jobs] = await Promise.all([loadItems(names, signal),
            get(`/v1/jobs?limit=${offered}`, {signal})]);
        const page = {names, items, jobs: jobs.items, layersPlot: await layersPlot(items, signal)};
        replace(root, crumbs([['Queue', '#/'], ['Compare']]), heading('Compare'), addForm(page),
            lost.length === 0 ? null : h('div', {class: 'problem'},
                h('strong', null, 'Not found'), h('p', null, lost.join(', '))),
            content(page));
    },
};
