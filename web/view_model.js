// A network: drawn layer by layer with shapes and costs, coloured by what a run found, and what is
// known of a chosen layer.

import {get, isAbort} from './api.js';
import {slug} from './chart.js';
import {download, h, notify, replace, visible} from './dom.js';
import {bytes, count, number, plural, time} from './format.js';
import {colouring, colours} from './graph_colours.js';
import {drawGraph, shapeText} from './graph_drawing.js';
import {graphSvg} from './graph_svg.js';
import {layerDetails} from './layer_details.js';
import {maySubmit} from './me.js';
import {facts, missing, section} from './panels.js';
import {crumbs, empty, heading} from './parts.js';
import {getIfKnown, listAll, nameOf} from './stored.js';
import {table} from './table.js';
import {variantWords} from './variants.js';

const jobsMax = 200; // newest ones, among which runs of the network are looked for

const path = (model, rest = '') => `/v1/models/${encodeURIComponent(model)}${rest}`;

// ---- the head ----

function headFacts({model, graph}) {
    const layers = model.layers ?? [];
    return facts([
        ['format', model.format],
        ['size', bytes(model.bytes)],
        ['input', model.input && `${model.input.name}: ${shapeText(model.input.shape)}`],
        ['output', model.output && `${model.output.name}: ${shapeText(model.output.shape)}`],
        ['nodes', number(graph?.nodes.length ?? layers.length)],
        ['MACs', count(model.macs)],
        ['parameters', count(model.parameters)],
        ['uploaded', time(model.created)],
        ['SHA-256', h('code', {class: 'digest'}, model.id.replace('sha256:', ''))],
    ]);
}

// ---- which run, which colour ----

function remember(page) {
    const query = new URLSearchParams();
    for (const [key, value] of [['run', page.run?.id], ['colour', page.colour.key],
        ['layer', page.chosen]]) {
        if (value && value !== 'nothing')
            query.set(key, value);
    }
    const text = query.toString();
    history.replaceState(null, '', `#/models/${encodeURIComponent(page.model.id)}` +
        (text === '' ? '' : `?${text}`));
}

// What the drawing takes from a run; nothing when `id` is null.
async function loadRun(id, signal) {
    const address = `/v1/runs/${encodeURIComponent(id ?? '')}`;
    const [run, layers, histograms] = id ? await Promise.all(['', '/layers', '/histograms']
        .map(rest => getIfKnown(address + rest, signal))) : [null, null, null];
    return {
        run,
        layers: layers && new Map(layers.layers.map(layer => [layer.name, layer])),
        histograms: new Map((histograms?.layers ?? []).map(each => [each.name, each])),
    };
}

function field(id, label, control) {
    return h('div', {class: 'field'}, h('label', {for: id}, label), control);
}

// What a choice needs is loaded first; of several choices in a row the last one counts.
async function choose(page, load) {
    const turn = page.turn = {};
    try {
        const loaded = await load();
        if (turn !== page.turn)
            return;
        Object.assign(page, loaded);
    } catch (error) {
        if (!isAbort(error))
            notify(error.message, 'error');
    }
    suitColour(page);
    if (!page.signal.aborted)
        draw(page);
}

// A colour that needs a run goes with it; with a run the errors are the first thing to see.
function suitColour(page) {
    if (page.layers === null && page.colour.run)
        page.colour = colours[0];
    else if (page.layers !== null && page.colour === colours[0])
        page.colour = colours.find(colour => colour.key === 'error');
}

function jobField(page) {
    const select = h('select', {id: 'graph-job', value: page.job ?? '',
        onchange: () => choose(page, async () => {
            const job = select.value || null;
            const runs = job === null ? [] : await runsOf(job, page.signal);
            return {job, runs, ...await loadRun(runs[0]?.id ?? null, page.signal)};
        })},
    h('option', {value: ''}, page.jobs.length > 0 ? 'none' : 'no job of this network yet'),
    page.jobs.map(job => h('option', {value: job.id}, `${job.id} ${job.name}`)));
    return field('graph-job', 'Job', select);
}

function runField(page) {
    const select = h('select', {id: 'graph-run', value: page.run?.id ?? '',
        onchange: () => choose(page, () => loadRun(select.value, page.signal))},
    page.runs.map(run => h('option', {value: run.id},
        `${run.variant} ${variantWords(run.choices)}, seed ${run.seed}`)));
    select.disabled = page.runs.length === 0;
    return field('graph-run', 'Run', select);
}

function colourField(page) {
    const possible = colours.filter(colour => !colour.run || page.layers !== null);
    const select = h('select', {id: 'graph-colour', value: page.colour.key, onchange: () => {
        page.colour = possible.find(colour => colour.key === select.value);
        draw(page);
    }}, possible.map(colour => h('option', {value: colour.key}, colour.title)));
    return field('graph-colour', 'Colour by', select);
}

// ---- the drawing ----

// The texts of the coldest and the warmest layer; null where nothing is coloured.
function endsOf(nodes, valueOf) {
    const values = nodes.filter(node => node.layer).map(valueOf)
        .filter(value => value !== null).sort((a, b) => a.warmth - b.warmth);
    return values.length === 0 ? null : [values[0].text, values.at(-1).text];
}

function legend(ends) {
    return ends && h('p', {class: 'heat-legend note'}, ends[0],
        h('span', {class: 'scale', 'aria-hidden': 'true'}, [0, 1, 2, 3, 4, 5, 6].map(heat =>
            h('span', {class: `heat-${heat}`}))), ends[1]);
}

function downloadDrawing(page, ends) {
    const name = nameOf(page.model);
    const parts = [name, ...page.colour.run ? [page.run.id] : [], ...ends ? [page.colour.key] : []];
    const note = ends && `${page.colour.title}${page.colour.run ? ` in ${page.run.id}` : ''}: ` +
        ends.join(' to ');
    download(`${slug(parts.join(' '))}.svg`, graphSvg(page.drawing.element, name, note),
        'image/svg+xml');
}

function showLayer(page) {
    const node = page.drawing?.nodes.find(each => each.name === page.chosen);
    page.drawing?.select(node?.id ?? null);
    if (node === undefined) {
        replace(page.places.details, missing('Choose a layer to see what is known of it.'));
        return;
    }
    const layer = page.model.layers?.find(each => each.name === node.name) ?? node;
    replace(page.places.details, h('h3', null, node.name),
        layerDetails({layer, result: page.layers?.get(node.name),
            histogram: page.histograms.get(node.name)}),
        page.run && page.layers?.has(node.name) ? h('p', null, h('a',
            {href: `#/runs/${encodeURIComponent(page.run.id)}?layer=` +
                encodeURIComponent(node.name)}, `This layer in run ${page.run.id}`)) : null);
}

function drawNetwork(page) {
    const valueOf = colouring(page.colour, page.graph.nodes, page.layers);
    const top = page.places.drawing.querySelector('.canvas')?.scrollTop ?? 0;
    page.drawing = drawGraph(page.graph, {
        label: `Network ${nameOf(page.model)}: arrow keys go from node to node, Enter chooses`,
        layers: new Map((page.model.layers ?? []).map(layer => [layer.name, layer])),
        valueOf,
        onselect: node => {
            page.chosen = node.name;
            remember(page);
            showLayer(page);
        },
    });
    const canvas = h('div', {class: 'canvas'}, page.drawing.element);
    const ends = endsOf(page.drawing.nodes, valueOf);
    replace(page.places.drawing, h('div', {class: 'drawing-head'}, legend(ends),
        h('div', {class: 'tools'}, h('button', {type: 'button', class: 'plain',
            'aria-label': 'Download the drawing as SVG',
            onclick: () => downloadDrawing(page, ends)}, 'SVG'))), canvas);
    canvas.scrollTop = top;
}

function draw(page) {
    const focused = page.places.controls.contains(document.activeElement)
        ? document.activeElement.id : null;
    replace(page.places.controls, jobField(page), runField(page), colourField(page));
    if (focused)
        document.getElementById(focused)?.focus();
    if (page.graph !== null)
        drawNetwork(page);
    else
        replace(page.places.drawing, missing('The daemon has no drawing of this network.'));
    showLayer(page);
    remember(page);
}

// ---- the same as a table ----

function layersList(page) {
    const layers = page.model.layers ?? [];
    return table({
        caption: 'Operators',
        columns: [
            {key: 'name', title: 'name'},
            {key: 'op', title: 'operator'},
            {key: 'input', title: 'input', value: layer => shapeText(layer.input_shape)},
            {key: 'output', title: 'output', value: layer => shapeText(layer.output_shape)},
            {key: 'kernel', title: 'kernel', value: layer => layer.kernel?.join(' × ') ?? ''},
            {key: 'macs', title: 'MACs', align: 'right', cell: layer => count(layer.macs)},
            {key: 'parameters', title: 'parameters', align: 'right',
                cell: layer => count(layer.parameters)},
        ],
        rows: layers,
        empty: 'The network has no operators.',
    });
}

// ---- the view ----

async function runsOf(job, signal) {
    const runs = await listAll(`/v1/jobs/${encodeURIComponent(job)}/runs`, signal);
    return runs.filter(run => run.state === 'succeeded');
}

async function load(id, query, signal) {
    const [model, graph, jobs, found] = await Promise.all([get(path(id), {signal}),
        getIfKnown(path(id, '/graph'), signal), get(`/v1/jobs?limit=${jobsMax}`, {signal}),
        loadRun(query.get('run'), signal)]);
    const page = {model, graph, signal, job: found.run?.job ?? null, runs: [], ...found,
        drawing: null, turn: null, chosen: query.get('layer'),
        jobs: jobs.items.filter(job => job.model === model.id && job.progress.succeeded > 0),
        colour: colours.find(colour => colour.key === query.get('colour')) ?? colours[0]};
    if (page.job !== null) {
        page.runs = await runsOf(page.job, signal);
        if (!page.jobs.some(job => job.id === page.job))
            page.jobs.push({id: page.job, name: ''});
    }
    if (!query.has('colour') || page.layers === null)
        suitColour(page);
    return page;
}

export const view = {
    title: () => 'Network',
    async render(root, params, query, signal) {
        const page = await load(params.id, query, signal);
        page.places = {controls: h('div', {class: 'controls'}), drawing: h('div'),
            details: h('div', {class: 'one-layer'})};
        document.title = visible(`${nameOf(page.model)} · ptqd`);
        replace(root, crumbs([['Queue', '#/'], [nameOf(page.model)]]),
            heading(nameOf(page.model),
                maySubmit() && h('a', {class: 'button', href: '#/submit'}, 'Submit a job')),
            headFacts(page),
            h('div', {class: 'drawn-network'},
                section('Drawing', page.places.controls, page.places.drawing),
                section('Layer', page.places.details)),
            section('Operators', (page.model.layers ?? []).length > 0
                ? h('details', null,
                    h('summary', null, plural(page.model.layers.length, 'operator')),
                    layersList(page))
                : empty('The network has no operators.')));
        draw(page);
    },
};
