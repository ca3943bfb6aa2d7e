// The layers of a run: their errors along the network, and a table to choose one from.

import {bars, line} from './chart.js';
import {h} from './dom.js';
import {bops, bytes, decibel, number, points} from './format.js';
import {bitsPair} from './layer_details.js';
import {table} from './table.js';

const stages = [
    ['output_sqnr_before_db', 'rounded to nearest'],
    ['output_sqnr_after_db', 'solved'],
    ['output_sqnr_final_db', 'finished network'],
];

/** Names that fit below an axis: without what all have in common, and without a long beginning. */
export function axisNames(names, most = 14) {
    let common = names.length > 1 ? names[0].lastIndexOf('/') + 1 : 0;
    while (common > 0 && !names.every(name => name.startsWith(names[0].slice(0, common))))
        common = names[0].lastIndexOf('/', common - 2) + 1;
    return names.map(name => name.slice(common))
        .map(name => (name.length > most ? `…${name.slice(1 - most)}` : name));
}

// Lines of SQNRs along the network; null when none is known.
function alongNetwork(layers, series, title, note) {
    const known = series.filter(({values}) => values.some(value => value !== null));
    return known.length === 0 ? null : line({
        title,
        note,
        x: layers.map((_, index) => index + 1),
        nameX: index => layers[index].name,
        series: known,
        xlabel: 'layer, in the order of execution',
        ylabel: 'output SQNR in dB',
        formatX: String,
        stepsX: 'whole',
        formatY: value => number(value, 1),
        padX: 0.03,
    });
}

/** The SQNR of each layer's output along the network; null when none is known. */
export function errorPlot(layers) {
    return alongNetwork(layers, stages.map(([key, label]) =>
        ({label, values: layers.map(layer => layer[key] ?? null)})), 'Error of each layer',
    'Signal-to-noise ratio of the linear output against the float network; more is better.');
}

/** The same of several runs of one network, in the finished network: [{label, layers}]. */
export function errorSeries(runs) {
    const finished = layer => layer?.output_sqnr_final_db ?? null;
    return alongNetwork(runs[0].layers, runs.map(({label, color, layers}) => ({label, color,
        values: runs[0].layers.map(({name}) =>
            finished(layers.find(layer => layer.name === name)))})), 'Error of each layer',
    'Signal-to-noise ratio in the finished network, of the first run of each; more is better.');
}

const dropOf = effect => {
    if (!effect)
        return null;
    return effect.accuracy_drop ?? 1 - effect.agreement;
};

/** What each quantizer costs alone; null when it was not measured. */
export function sensitivityPlot(layers, sensitivity) {
    if (!sensitivity || !layers.some(layer => layer.sensitivity))
        return null;
    const labelled = sensitivity.float_accuracy !== null;
    const {worst} = sensitivity;
    return bars({
        title: 'Sensitivity',
        note: 'What quantizing one part alone costs, on ' +
            `${number(sensitivity.samples)} samples of the ${sensitivity.set} set.` +
            (worst ? ` The ${worst.part} of ${worst.name} leaves the largest error.` : ''),
        categories: axisNames(layers.map(layer => layer.name)),
        height: 320,
        series: [
            {label: 'weights', values: layers.map(layer => dropOf(layer.sensitivity?.weights))},
            {label: 'input', values: layers.map(layer => dropOf(layer.sensitivity?.input))},
        ],
        xlabel: 'layer',
        ylabel: labelled ? 'points of accuracy lost' : 'share of classes that change',
        formatY: value => number(100 * value, 1),
    });
}

const dbColumn = (key, title, help) => ({key, title, help, align: 'right',
    value: layer => layer[key] ?? null,
    cell: layer => (layer[key] == null ? '' : decibel(layer[key]))});

function sensitivityColumn(part) {
    return {
        key: part,
        title: `only ${part}`,
        align: 'right',
        help: 'points of accuracy that this quantizer costs alone',
        value: layer => dropOf(layer.sensitivity?.[part]),
        cell: layer => {
            const drop = dropOf(layer.sensitivity?.[part]);
            return drop === null ? '' : points(-drop, 2);
        },
    };
}

/** `onselect(name)` is told which layer is chosen. The element has `setRows` and `mark(name)`. */
export function layersTable(layers, onselect) {
    const buttons = new Map();
    const name = layer => {
        if (!buttons.has(layer.name))
            buttons.set(layer.name, h('button', {type: 'button', class: 'plain pick',
                'aria-pressed': 'false', onclick: () => onselect(layer.name)}, layer.name));
        return buttons.get(layer.name);
    };
    const element = table({
        caption: 'Layers',
        columns: [
            {key: 'name', title: 'layer', cell: name},
            {key: 'op', title: 'operator'},
            {key: 'bits', title: 'bits', align: 'right', help: 'of weights and input',
                value: layer => layer.weight_bits, cell: bitsPair},
            dbColumn('weight_sqnr_db', 'weights', 'SQNR of the weights'),
            dbColumn('input_sqnr_db', 'input', 'SQNR of the input'),
            ...stages.map(([key, title]) => dbColumn(key, title, 'SQNR of the linear output')),
            ...layers.some(layer => layer.sensitivity)
                ? [sensitivityColumn('weights'), sensitivityColumn('input')] : [],
            {key: 'bops', title: 'BOPs', align: 'right', cell: layer => bops(layer.bops)},
            {key: 'flash_bytes', title: 'flash', align: 'right',
                cell: layer => bytes(layer.flash_bytes)},
        ],
        rows: layers,
    });
    element.mark = chosen => buttons.forEach((button, each) =>
        button.setAttribute('aria-pressed', String(each === chosen)));
    return element;
}
