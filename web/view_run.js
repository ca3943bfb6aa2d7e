// A run: one variant with one seed. What it does while it works, what came out, and why.

import {events, get} from './api.js';
import {announce, h, replace} from './dom.js';
import {accuracy, bops, bytes, decibel, duration, number, percent, points, time} from './format.js';
import {runProgress} from './job_runs.js';
import {layerDetails} from './layer_details.js';
import {facts, missing, section, tellConnection} from './panels.js';
import {artifactLink, badge, crumbs, heading} from './parts.js';
import {problemWords} from './problem_words.js';
import {lossesView, logView, memoryView, stepsView} from './run_course.js';
import {errorPlot, layersTable, sensitivityPlot} from './run_layers.js';
import {findStored, getIfKnown, nameOf} from './stored.js';
import {variantWords} from './variants.js';

const logEvery = 4000; // ms, while the run works
const finals = new Set(['succeeded', 'failed', 'cancelled']);

const path = (run, rest = '') => `/v1/runs/${encodeURIComponent(run)}${rest}`;

// ---- the head ----

function headFacts({run, job, model}) {
    return facts([
        ['job', h('a', {href: `#/jobs/${encodeURIComponent(run.job)}`}, job.name || run.job)],
        ['network', h('a', {href: `#/models/${encodeURIComponent(model.id)}?run=` +
            encodeURIComponent(run.id)}, nameOf(model))],
        ['variant', `${run.variant}: ${variantWords(run.choices)}`],
        ['seed', number(run.seed)],
        ['owner', job.owner],
        ['worker', run.worker],
        ['attempts', run.attempts > 1 ? number(run.attempts) : null],
        ['started', run.started && time(run.started)],
        ['took', run.seconds && duration(run.seconds.total)],
    ]);
}

function figure(name, value, note) {
    return h('div', null, h('dt', null, name), h('dd', {class: 'figure'}, value),
        note && h('dd', {class: 'note'}, note));
}

function figures(run) {
    const {cost} = run;
    const labelled = run.accuracy !== null;
    const quality = labelled
        ? figure('accuracy', accuracy(run.accuracy, 2),
            `${points(-run.loss, 2)} against float (${accuracy(run.float_accuracy, 2)})`)
        : figure('agreement', percent(run.agreement, 1), 'with the float network');
    return h('dl', {class: 'summary figures'},
        quality,
        figure('output SQNR', decibel(run.output_sqnr_db),
            labelled && `${percent(run.agreement, 1)} agree with float`),
        figure('bit operations', bops(cost.bops), `${bops(cost.macs)} MACs`),
        figure('flash', bytes(cost.flash_bytes), `weights ${bytes(cost.weight_bytes)}`),
        figure('peak memory', bytes(cost.peak_bytes), cost.peak_layer && `at ${cost.peak_layer}`),
        figure('memory of the run', bytes(run.peak_rss_bytes), 'of the worker, at most'));
}

// The step that a failed run was in: the last one whose time its log tells.
function lastStep(log) {
    const steps = (log?.lines ?? []).map(({text}) => /^([a-z]+) took /.exec(text)?.[1]);
    return steps.filter(Boolean).at(-1) ?? null;
}

function problemView({run, log}) {
    if (!run.problem)
        return null;
    const {what, where, detail, help} = problemWords(run.problem, lastStep(log));
    return h('div', {class: 'problem'}, h('strong', null, where ? `${what}, ${where}` : what),
        h('p', null, detail), help && h('p', {class: 'note'}, help));
}

function drawHead(page) {
    const {run, places} = page;
    replace(places.head, heading(`Run ${run.id}`),
        h('p', {class: 'subtitle'}, badge(run.state)),
        headFacts(page), problemView(page));
    replace(places.live, finals.has(run.state) ? null : liveView(page));
}

function liveView({run}) {
    if (run.state === 'queued')
        return h('div', {class: 'panel live'}, missing('Waits for a worker.'));
    return h('div', {class: 'panel live'}, runProgress(run));
}

// ---- results ----

function layersSection(page) {
    const {layers, sensitivity} = page.layers;
    const stored = new Map((page.model.layers ?? []).map(layer => [layer.name, layer]));
    const histograms = new Map((page.histograms?.layers ?? []).map(each => [each.name, each]));
    const details = h('div', {class: 'one-layer'});
    const list = layersTable(layers, show);
    function show(name) {
        const result = layers.find(layer => layer.name === name) ?? layers[0];
        if (result === undefined)
            return;
        list.mark(result.name);
        replace(details, h('h3', null, result.name), layerDetails({layer: stored.get(result.name),
            result, histogram: histograms.get(result.name)}));
        // The address keeps the choice without a new page.
        if (name !== null)
            history.replaceState(null, '', `#/runs/${encodeURIComponent(page.run.id)}?layer=` +
                encodeURIComponent(result.name));
    }
    show(page.query.get('layer'));
    const plots = [errorPlot(layers), sensitivityPlot(layers, sensitivity)];
    return [section('Layers', h('div', {class: 'plots'}, plots), list),
        section('One layer', details)];
}

function drawResults(page) {
    const {run, places} = page;
    if (run.state !== 'succeeded' || page.layers === null) {
        replace(places.results);
        return;
    }
    replace(places.results, figures(run), layersSection(page),
        section('Reconstruction loss', lossesView(page.losses)),
        section('Memory', memoryView(page.memory)),
        section('Time per step', stepsView(run.seconds)),
        run.artifacts.length === 0 ? null : section('Artifacts', h('div', {class: 'artifacts'},
            run.artifacts.map(artifact => artifactLink(run.id, artifact)))));
}

function drawLog(page) {
    replace(page.places.log, section('Log', logView(page.log)));
}

async function loadResults(page) {
    const known = rest => getIfKnown(path(page.run.id, rest), page.signal);
    page.log = await known('/log');
    if (page.run.state !== 'succeeded')
        return;
    [page.layers, page.histograms, page.losses, page.memory] = await Promise.all(
        [known('/layers'), known('/histograms'), known('/losses'), known('/memory')]);
}

// ---- live ----

async function reload(page) {
    const before = page.run.state;
    page.run = await get(path(page.run.id), {signal: page.signal});
    await loadResults(page);
    drawHead(page);
    drawLog(page);
    if (before !== page.run.state) {
        drawResults(page);
        announce(`The run has ${page.run.state}.`);
    }
}

function onEvent(page, name, data) {
    const running = name === 'progress' ? data.runs.find(each => each.id === page.run.id) : null;
    if (running && page.run.state === 'running') {
        page.run = {...page.run, progress: running.progress, worker: running.worker};
        replace(page.places.live, liveView(page));
        const now = Date.now();
        if (now - page.loggedAt < logEvery)
            return;
        page.loggedAt = now;
        getIfKnown(path(page.run.id, '/log'), page.signal).then(log => {
            page.log = log;
            drawLog(page);
        }, () => {}); // the next event tries again
        return;
    }
    const changed = Boolean(running) !== (page.run.state === 'running') || name !== 'progress';
    if (!changed || page.reloading)
        return;
    page.reloading = true;
    reload(page).catch(() => {}).finally(() => {
        page.reloading = false;
        if (finals.has(page.run.state))
            leave(page);
    });
}

function leave(page) {
    page.stream?.close();
    page.stream = null;
    tellConnection('');
}

export const view = {
    title: params => `Run ${params.id}`,
    async render(root, params, query, signal) {
        const run = await get(path(params.id), {signal});
        const job = await get(`/v1/jobs/${encodeURIComponent(run.job)}`, {signal});
        const model = await findStored('models', job.model, signal);
        const page = {run, job, model, query, signal, stream: null, layers: null,
            histograms: null, losses: null, memory: null, log: null, loggedAt: 0,
            reloading: false, places: {head: h('div', {class: 'stack head-stack'}), live: h('div'),
                results: h('div', {class: 'stack'}), log: h('div')}};
        await loadResults(page);
        replace(root, crumbs([['Queue', '#/'],
            [job.name || job.id, `#/jobs/${encodeURIComponent(job.id)}`], [run.id]]),
        page.places.head, page.places.live, page.places.results, page.places.log);
        drawHead(page);
        drawResults(page);
        drawLog(page);
        if (!finals.has(run.state))
            page.stream = events(`/v1/jobs/${encodeURIComponent(run.job)}/events`, {
                onevent: (name, data) => onEvent(page, name, data),
                onstate: tellConnection,
            });
        return () => page.stream?.close();
    },
};
