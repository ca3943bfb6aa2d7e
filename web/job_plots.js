// The plots of a job: quality over width, operations and memory, and one choice against another.

import {bars, line, scatter} from './chart.js';
import {h, replace} from './dom.js';
import {bops, bytes, headline, number, percent, points, spread} from './format.js';
import {table} from './table.js';
import {choiceKeys, choiceText, choiceValues, differenceOf, groupBy, measureOf,
    pairKeys, pairsOf, seriesOverBits, variantWords} from './variants.js';

const asPercent = value => percent(value, 1);
const widths = {'weights.bits': 'bits of the weights', 'activations.bits': 'bits of activations'};

/** {x, series} of lines that have points at different places, for line(). */
function alignSeries(series, measure) {
    const x = [...new Set(series.flatMap(each => each.points.map(point => point.x)))]
        .sort((a, b) => a - b);
    return {x, series: series.map(({words, points: list}) => {
        const at = new Map(list.map(point => [point.x, measure.of(point.variant)]));
        return {label: words, values: x.map(value => at.get(value)?.mean ?? null),
            error: x.map(value => at.get(value)?.std ?? null)};
    })};
}

/** Quality over the swept width with the deviation over seeds; null when no width is swept. */
export function widthPlot(report) {
    const measure = measureOf(report);
    const found = seriesOverBits(report.variants, measure);
    if (found === null || found.series.every(({points: list}) => list.length === 0))
        return null;
    const {x, series} = alignSeries(found.series, measure);
    const reference = report.float.accuracy;
    if (measure.key === 'accuracy' && reference != null)
        series.push({label: 'float', values: x.map(() => reference), color: '--muted',
            dash: [2, 4], points: false});
    return line({
        title: `${headline(measure.title)} by bits`,
        note: found.best ? 'The best variant at each width; bars are one standard deviation.'
            : 'Bars are one standard deviation over the seeds.',
        x,
        series: series.map(each => ({size: 5, ...each})),
        apart: true,
        height: 340,
        xlabel: widths[found.key] ?? found.key,
        ylabel: measure.title,
        formatX: String,
        stepsX: 'whole',
        formatY: asPercent,
        padX: 0.06,
    });
}

function costSeries(variants, measure, cost) {
    const keys = pairKeys(variants);
    const by = keys.includes('optimize.variable') ? ['optimize.variable'] : keys.slice(0, 1);
    return groupBy(variants, by).map(group => ({
        label: by.length > 0 ? group.words : 'variants',
        points: group.variants
            .filter(variant => measure.of(variant).mean != null && variant.cost?.[cost] != null)
            .map(variant => ({x: variant.cost[cost], y: measure.of(variant).mean,
                error: measure.of(variant).std, variant, front: variant.pareto?.[cost] === true,
                name: `${variant.id}: ${variantWords(variant.choices)}`})),
    })).filter(series => series.points.length > 0);
}

/** Quality over a cost with the Pareto front; null when nothing has succeeded. */
export function costPlot(report, cost, onselect) {
    const measure = measureOf(report);
    const series = costSeries(report.variants, measure, cost);
    if (series.length === 0)
        return null;
    const operations = cost === 'bops';
    return scatter({
        title: `${headline(measure.title)} by ${operations ? 'bit operations' : 'peak memory'}`,
        note: 'No other variant has more for less than those on the dashed line.',
        series,
        xlabel: operations ? 'bit operations' : 'peak memory',
        ylabel: measure.title,
        formatX: operations ? bops : bytes,
        stepsX: operations ? undefined : 'bytes',
        formatY: asPercent,
        onselect: point => onselect(point.variant),
    });
}

// ---- one choice against another ----

// "tune against none: +1.20 points on average over 28 pairs, more in 25 of them".
function summary(pairs, values, measure, index) {
    const differences = pairs
        .filter(({cells}) => cells[0] !== null && cells[index] !== null)
        .map(({cells}) => differenceOf(measure.of(cells[0]), measure.of(cells[index])))
        .filter(difference => difference !== null);
    if (differences.length === 0)
        return null;
    const mean = differences.reduce((sum, {mean: each}) => sum + each, 0) / differences.length;
    const more = differences.filter(({mean: each}) => each > 0).length;
    return h('li', null, h('strong', null, choiceText(values[index])), ' against ',
        choiceText(values[0]), ': ', h('strong', null, `${points(mean, 2)} points`),
        ` on average over ${differences.length} ${differences.length === 1 ? 'pair' : 'pairs'}, ` +
        `more in ${more}`);
}

function pairColumns(key, values, measure) {
    const at = index => row => (row.cells[index] === null ? null : measure.of(row.cells[index]));
    return [
        {key: 'words', title: 'with', value: row => row.words || 'the same choices'},
        ...values.flatMap((value, index) => {
            const cell = at(index);
            const shown = {
                key: `value-${index}`,
                title: `${choiceText(value)} %`,
                align: 'right',
                value: row => cell(row)?.mean ?? null,
                cell: row => spread(cell(row)?.mean, cell(row)?.std, 2),
            };
            const difference = row => differenceOf(at(0)(row), cell(row));
            return index === 0 ? [shown] : [shown, {
                key: `difference-${index}`,
                title: 'difference',
                align: 'right',
                help: `points of ${choiceText(value)} against ${choiceText(values[0])}`,
                value: row => difference(row)?.mean ?? null,
                cell: row => differenceCell(difference(row)),
            }];
        }),
    ];
}

// A difference within twice its error may be chance.
function differenceCell(difference) {
    if (difference === null)
        return '–';
    const {mean, error} = difference;
    const sure = error === null || Math.abs(mean) > 2 * error;
    const sign = !sure || mean === 0 ? '' : mean > 0 ? ' gain' : ' drop';
    return h('span', {class: `difference${sign}`,
        title: sure ? null : 'within twice its standard error'},
    points(mean, 2) + (error === null ? '' : ` ± ${number(100 * error, 2)}`));
}

function pairsPlot(pairs, key, values, measure) {
    return bars({
        title: `${headline(measure.title)} by ${key}`,
        categories: pairs.map(({words}) => words || measure.title),
        series: values.map((value, index) => ({
            label: choiceText(value),
            values: pairs.map(({cells}) =>
                (cells[index] === null ? null : measure.of(cells[index]).mean)),
            error: pairs.map(({cells}) =>
                (cells[index] === null ? null : measure.of(cells[index]).std)),
        })),
        xlabel: '',
        ylabel: measure.title,
        formatY: asPercent,
    });
}

function pairsView(report, key) {
    const measure = measureOf(report);
    const pairs = pairsOf(report.variants, key);
    const values = choiceValues(report.variants, key);
    return [
        h('ul', {class: 'findings'},
            values.slice(1).map((value, index) => summary(pairs, values, measure, index + 1))),
        pairsPlot(pairs, key, values, measure),
        table({caption: `Pairs that differ in ${key} alone`,
            columns: pairColumns(key, values, measure), rows: pairs}),
    ];
}

/** Variants that differ in one choice, side by side; null when nothing but widths is swept.
 * `state.key` keeps which choice is shown. */
export function ablations(report, state) {
    const keys = pairKeys(report.variants);
    if (keys.length === 0 || choiceKeys(report.variants).length === 0)
        return null;
    state.key = keys.includes(state.key) ? state.key : keys[0];
    const place = h('div', {class: 'stack'});
    const show = () => replace(place, pairsView(report, state.key));
    show();
    const select = h('select', {id: 'ablation', value: state.key, onchange: () => {
        state.key = select.value;
        show();
    }}, keys.map(key => h('option', {value: key}, key)));
    return h('div', {class: 'stack'},
        keys.length === 1 ? null
            : h('p', {class: 'field-line'}, h('label', {for: 'ablation'}, 'Choice'), select),
        place);
}
