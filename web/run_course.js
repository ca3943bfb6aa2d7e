// The course of a run: the loss of each unit, memory over the order of execution, time per step,
// and the log.

import {line} from './chart.js';
import {h, replace, svg} from './dom.js';
import {bytes, distinct, duration, number, short, time} from './format.js';
import {amounts, missing} from './panels.js';
import {table} from './table.js';

const older = 'It was made by an older version of the daemon.';

// ---- losses ----

// Solvers that train tell the loss of the mini-batch at hand; their first and last points are over
// all samples with everything rounded, which is another measure.
const trains = unit => unit.solver !== 'layer-wise' && unit.points.length > 3;

/** The course of a loss at a glance, between the lowest and the highest value. */
function sparkline(unit) {
    const width = 96, height = 18;
    const points = trains(unit) ? unit.points.slice(1, -1) : unit.points;
    const losses = points.map(point => point.loss);
    const low = Math.min(...losses), extent = Math.max(...losses) - low || 1;
    const last = points.at(-1).iteration || 1;
    const path = points.map(({iteration, loss}, index) => `${index === 0 ? 'M' : 'L'}` +
        `${(iteration / last * width).toFixed(1)} ` +
        `${(height - 1 - (loss - low) / extent * (height - 2)).toFixed(1)}`).join('');
    return svg('svg', {class: 'sparkline', width, height, 'aria-hidden': 'true'},
        svg('path', {d: path}));
}

function lossSeries(unit, losses) {
    if (!trains(unit))
        return [{label: 'loss', values: losses, points: losses.length < 3}];
    const isEnd = index => index === 0 || index === losses.length - 1;
    return [
        {label: 'mini-batch', values: losses.map((loss, i) => (isEnd(i) ? null : loss)),
            points: false},
        {label: 'all samples, rounded', values: losses.map((loss, i) => (isEnd(i) ? loss : null)),
            points: true, spanGaps: true, dash: [4, 3]},
    ];
}

function lossPlot(unit) {
    const losses = unit.points.map(point => point.loss);
    const positive = losses.every(loss => loss > 0);
    return line({
        title: `Reconstruction of ${unit.name}`,
        note: [unit.variable, unit.solver].filter(Boolean).join(', '),
        x: unit.points.map(point => point.iteration),
        series: lossSeries(unit, losses),
        xlabel: 'iteration',
        ylabel: 'loss',
        formatX: value => number(value),
        stepsX: 'whole',
        formatY: distinct(losses),
        logY: positive && Math.max(...losses) > 30 * Math.min(...losses),
        height: 240,
    });
}

/** Units and their losses as GET /v1/runs/{id}/losses has them; null: it has none. */
export function lossesView(answer) {
    const units = (answer?.units ?? []).filter(unit => unit.points.length > 0);
    if (units.length === 0)
        return missing(answer === null ? `The losses of this run were not kept. ${older}`
            : 'Nothing was optimized step by step.');
    const place = h('div');
    const first = unit => unit.points[0].loss, last = unit => unit.points.at(-1).loss;
    const buttons = new Map();
    const show = unit => {
        replace(place, lossPlot(unit));
        buttons.forEach((button, each) =>
            button.setAttribute('aria-pressed', String(each === unit)));
    };
    const pick = unit => {
        if (!buttons.has(unit))
            buttons.set(unit, h('button', {type: 'button', class: 'plain pick',
                'aria-pressed': 'false', onclick: () => show(unit)}, unit.name));
        return buttons.get(unit);
    };
    const list = table({
        caption: 'Losses of the units',
        columns: [
            {key: 'name', title: 'unit', cell: pick},
            {key: 'course', title: 'course', sort: false, cell: sparkline},
            {key: 'first', title: 'first', align: 'right', value: first,
                cell: unit => short(first(unit))},
            {key: 'last', title: 'last', align: 'right', value: last,
                cell: unit => short(last(unit))},
            {key: 'ratio', title: 'left', align: 'right', help: 'share of the first loss',
                value: unit => (first(unit) > 0 ? last(unit) / first(unit) : null),
                cell: unit => (first(unit) > 0
                    ? `${number(100 * last(unit) / first(unit), 1)} %` : '')},
        ],
        rows: units,
    });
    show(units[0]);
    return h('div', {class: 'beside'}, place, list);
}

// ---- memory ----

/** Memory as GET /v1/runs/{id}/memory has it; null: it has none. */
export function memoryView(answer) {
    if (!answer || answer.steps.length === 0)
        return missing(`The memory of this run over time is not known. ${older}`);
    const {steps, weight_bytes: weights} = answer;
    const peak = steps.findIndex(step => step.node === answer.peak_node);
    const tensors = step => step.tensors.map(({name, bytes: size}) => `${name} ${bytes(size)}`)
        .join(', ');
    const marks = peak < 0 ? []
        : [{x: peak + 1, label: `peak: ${bytes(answer.peak_bytes)} at ${answer.peak_node}`}];
    return [line({
        title: 'Memory over the order of execution',
        note: 'Activations that are alive while a node is computed, upon the weights ' +
            `(${bytes(weights)}).`,
        x: steps.map((_, index) => index + 1),
        nameX: index => `${steps[index].op} ${steps[index].node}`,
        series: [
            {label: 'with activations', values: steps.map(step => weights + step.bytes),
                columns: true},
            {label: 'weights', values: steps.map(() => weights), points: false, dash: [4, 3],
                color: '--muted'},
        ],
        marks,
        xlabel: 'node, in the order of execution',
        ylabel: 'bytes',
        formatX: String,
        stepsX: 'whole',
        formatY: bytes,
        stepsY: 'bytes',
        rangeX: () => [0.4, steps.length + 0.6],
        rangeY: (plot, low, high) => [0, (high || 1) * 1.12],
        numbers: {
            columns: [
                {key: 'node', title: 'node'},
                {key: 'op', title: 'operator'},
                {key: 'bytes', title: 'activations', align: 'right',
                    cell: step => bytes(step.bytes)},
                {key: 'float_bytes', title: 'in float', align: 'right',
                    cell: step => bytes(step.float_bytes)},
                {key: 'tensors', title: 'alive', value: tensors, sort: false},
            ],
            rows: steps,
        },
    }),
    peak < 0 ? null : h('p', {class: 'note'}, 'Alive at the peak: ', tensors(steps[peak]), '.')];
}

// ---- time and log ----

/** `seconds` of a run: {"total", "<step>": …}. */
export function stepsView(seconds) {
    const steps = Object.entries(seconds).filter(([name]) => name !== 'total');
    return [amounts(steps.map(([name, value]) => ({name, value, text: duration(value)})),
        'Seconds per step'),
    h('p', {class: 'note'}, `${duration(seconds.total)} together.`)];
}

/** The log as GET /v1/runs/{id}/log has it; null: it has none. */
export function logView(answer) {
    if (!answer || answer.lines.length === 0)
        return missing(answer === null ? `There is no log of this run. ${older}`
            : 'Nothing has happened yet.');
    return h('ol', {class: 'log', tabindex: 0, 'aria-label': 'Log'},
        answer.lines.map(each => h('li', null,
            h('time', {datetime: each.time}, time(each.time)), ' ', h('span', null, each.text))));
}
