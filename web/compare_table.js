// What is compared, side by side: a column for each job or variant, a row for each thing known.

import {h} from './dom.js';
import {bops, bytes, decibel, duration, number, points, spread} from './format.js';
import {badge} from './parts.js';
import {nameOf} from './stored.js';
import {choiceText, measureOf} from './variants.js';

const isObject = value => typeof value === 'object' && value !== null;

// A value of a list: one that is swept, or a rule about layers.
function itemText(value) {
    return isObject(value)
        ? Object.entries(flatten(value)).map(entry => entry.join(' ')).join(', ')
        : choiceText(value);
}

/** {"weights": {"bits": 4}} as {"weights.bits": "4"}; lists are what is swept. */
export function flatten(object, prefix = '') {
    return Object.entries(object ?? {}).reduce((flat, [key, value]) => {
        const name = prefix + key;
        if (Array.isArray(value))
            flat[name] = value.map(itemText)
                .join(value.some(isObject) ? '; ' : ', ') || '–';
        else if (isObject(value))
            Object.assign(flat, flatten(value, `${name}.`));
        else
            flat[name] = choiceText(value);
        return flat;
    }, {});
}

/** The choices of an item: its job's pipeline, and what its variant chose. */
export function choicesOf({job, variant, kind}) {
    const chosen = kind === 'variant' ? variant.choices : {};
    return {...flatten(job.pipeline), ...Object.fromEntries(Object.entries(chosen)
        .map(([key, value]) => [key, choiceText(value)]))};
}

/** The variant that stands for a job: the best one. */
export function bestVariant(report) {
    const measure = measureOf(report);
    return report.variants.filter(variant => measure.of(variant).mean != null)
        .reduce((best, variant) => (best === null ||
            measure.of(variant).mean > measure.of(best).mean ? variant : best), null);
}

const results = [
    {title: 'accuracy %', of: variant => variant.accuracy?.mean,
        text: (value, variant) => spread(value, variant.accuracy.std, 2),
        difference: value => points(value, 2)},
    {title: 'loss, points', of: variant => variant.loss?.mean,
        text: (value, variant) => spread(value, variant.loss.std, 2),
        difference: value => points(value, 2)},
    {title: 'agreement %', of: variant => variant.agreement,
        text: value => number(100 * value, 1), difference: value => points(value, 1)},
    {title: 'output SQNR', of: variant => variant.output_sqnr_db, text: decibel},
    {title: 'bit operations', of: variant => variant.cost?.bops, text: bops, ratio: true},
    {title: 'weights', of: variant => variant.cost?.weight_bytes, text: bytes, ratio: true},
    {title: 'flash', of: variant => variant.cost?.flash_bytes, text: bytes, ratio: true},
    {title: 'peak memory', of: variant => variant.cost?.peak_bytes, text: bytes, ratio: true},
    {title: 'time of a run', of: variant => variant.seconds?.mean, text: duration, ratio: true},
];

// Against the first column: costs as a factor, the others as a difference.
function against(row, value, first) {
    if (first == null)
        return null;
    if (value === first)
        return '=';
    if (row.ratio)
        return first === 0 ? null : `${number(value / first, 2)} ×`;
    const sign = value > first ? '+' : '';
    return row.difference ? row.difference(value - first) : sign + row.text(value - first);
}

function resultRow(row, items) {
    const first = items[0].variant && row.of(items[0].variant);
    return h('tr', null, h('th', {scope: 'row'}, row.title), items.map(({variant}, index) => {
        const value = variant === null ? null : row.of(variant);
        if (value == null)
            return h('td', {class: 'right'}, '–');
        return h('td', {class: 'right'}, row.text(value, variant),
            index === 0 ? null : h('span', {class: 'under'}, against(row, value, first)));
    }));
}

function textRow(title, cells, differs) {
    return h('tr', {class: differs ? 'differs' : null}, h('th', {scope: 'row'}, title),
        cells.map(cell => h('td', {class: 'right'}, cell)));
}

function differ(values) {
    return values.some(value => value !== values[0]);
}

function group(title, columns, rows) {
    return rows.length === 0 ? null : h('tbody', null,
        h('tr', {class: 'group-row'}, h('th', {colspan: columns + 1, scope: 'rowgroup'}, title)),
        rows);
}

// "optimize.variable" with a place to break the line.
const breakable = key => key.split('.').flatMap((part, i, parts) =>
    i < parts.length - 1 ? [`${part}.`, h('wbr')] : [part]);

function choiceRows(items, onlyDifferent) {
    const choices = items.map(choicesOf);
    const keys = [...new Set(choices.flatMap(Object.keys))];
    return keys.map(key => ({key, values: choices.map(each => each[key] ?? '–')}))
        .map(({key, values}) => ({key, values, differs: differ(values)}))
        .filter(({differs}) => differs || !onlyDifferent)
        .map(({key, values, differs}) =>
            textRow(breakable(key), values, differs && items.length > 1));
}

function aboutRows(items) {
    const seeds = ({job}) => (Array.isArray(job.seeds) ? job.seeds.length : job.seeds);
    const variants = ({kind, report, variant}) => (kind === 'variant' ? variant.id
        : `${variant?.id ?? '–'}, best of ${report.variants.length}`);
    return [
        textRow('variant', items.map(variants)),
        textRow('state', items.map(({job}) => badge(job.state))),
        textRow('network', items.map(({model}) =>
            h('a', {href: `#/models/${encodeURIComponent(model.id)}`}, nameOf(model)))),
        textRow('evaluation', items.map(({evaluation}) =>
            (evaluation === null ? 'none' : nameOf(evaluation)))),
        textRow('seeds', items.map(item => number(seeds(item)))),
    ];
}

/** items: [{name, kind: 'job' or 'variant', job, report, variant, model, evaluation}]. */
export function compareTable(items, {onlyDifferent, onremove}) {
    const head = items.map(item => h('th', {scope: 'col', class: 'right'},
        h('a', {href: `#/jobs/${encodeURIComponent(item.job.id)}`}, item.name),
        h('span', {class: 'under'}, item.job.name),
        h('button', {type: 'button', class: 'plain', 'aria-label': `Remove ${item.name}`,
            onclick: () => onremove(item)}, 'Remove')));
    return h('div', {class: 'scroll', role: 'region', tabindex: 0, 'aria-label': 'Comparison'},
        h('table', {class: 'compare'}, h('caption', {class: 'offscreen'}, 'Comparison'),
            h('thead', null, h('tr', null, h('td'), head)),
            group('About', items.length, aboutRows(items)),
            group(items.length > 1 ? 'Results, and against the first column' : 'Results',
                items.length, results.map(row => resultRow(row, items))),
            group(onlyDifferent && items.length > 1 ? 'Choices that differ' : 'Choices',
                items.length, choiceRows(items, onlyDifferent && items.length > 1))));
}
