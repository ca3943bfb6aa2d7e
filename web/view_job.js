// A job: its variants as tables and plots, its runs while they work, what they made, and its
// specification.

import {events, get, patch, request} from './api.js';
import {announce, download, h, notify, replace} from './dom.js';
import {duration, number, time} from './format.js';
import {isFinal, jobActions} from './job_actions.js';
import {ablations, costPlot, widthPlot} from './job_plots.js';
import {artifactsView, runProgress, runsTable} from './job_runs.js';
import {specView} from './job_spec.js';
import {variantsPanel} from './job_variants.js';
import {mayChange, maySubmit} from './me.js';
import {facts, section, tellConnection} from './panels.js';
import {badge, crumbs, empty, heading, progressBar} from './parts.js';
import {problemWords} from './problem_words.js';
import {findStored, listAll, nameOf} from './stored.js';

const reloadAfter = 1500; // ms; results of many short runs are shown together

const path = (job, rest = '') => `/v1/jobs/${encodeURIComponent(job)}${rest}`;

// ---- what can be done ----

function actions(page) {
    const done = job => (job === null ? location.assign('#/') : page.setJob(job));
    const again = maySubmit() && isFinal(page.job) && page.job.state !== 'cancelled';
    return [jobActions(page.job, done, ''),
        again && h('a', {class: 'button', href: `#/submit?from=${page.job.id}`}, 'Again'),
        h('a', {class: 'button', href: `#/compare?jobs=${encodeURIComponent(page.job.id)}`},
            'Compare')];
}

async function setPriority(page, priority) {
    try {
        page.setJob(await patch(path(page.job.id), {priority}));
        notify(`The priority is ${priority}`);
    } catch (error) {
        notify(error.message, 'error');
    }
}

// The priority is changed by a small form: a number and a button.
function priorityForm(page) {
    const field = h('input', {id: 'priority', type: 'number', class: 'number', step: 1,
        value: page.job.priority, 'aria-label': 'Priority'});
    return h('form', {class: 'inline', onsubmit: event => {
        event.preventDefault();
        setPriority(page, Number(field.value));
    }}, field, h('button', {type: 'submit', class: 'small'}, 'Set'));
}

// ---- the head ----

function seedsText(seeds) {
    return Array.isArray(seeds) ? `${seeds.length} (${seeds.join(', ')})` : String(seeds);
}

function labelsOf(labels) {
    const pairs = Object.entries(labels ?? {});
    return pairs.length === 0 ? null : h('span', {class: 'labels'}, pairs.map(([key, value]) =>
        h('a', {class: 'chip', href: `#/?label=${encodeURIComponent(`${key}=${value}`)}`},
            `${key}=${value}`)));
}

function spentSeconds(job) {
    if (!job.started)
        return null;
    const end = job.finished ? new Date(job.finished) : new Date();
    return (end - new Date(job.started)) / 1000;
}

function headFacts(page) {
    const {job, stored} = page;
    return facts([
        ['owner', job.owner],
        ['network', h('a', {href: `#/models/${encodeURIComponent(stored.model.id)}`},
            nameOf(stored.model))],
        ['calibration', nameOf(stored.calibration)],
        ['evaluation', stored.evaluation === null ? 'none: agreement stands for accuracy'
            : nameOf(stored.evaluation)],
        ['seeds', seedsText(job.seeds)],
        ['submitted', time(job.created)],
        ['took', job.finished ? duration(spentSeconds(job)) : null],
        ['priority', isFinal(job) || !mayChange(job) ? number(job.priority)
            : priorityForm(page)],
        ['labels', labelsOf(job.labels)],
    ]);
}

function problemView(job) {
    if (!job.problem)
        return null;
    const {what, where, detail, help} = problemWords(job.problem);
    return h('div', {class: 'problem'}, h('strong', null, where ? `${what}, ${where}` : what),
        h('p', null, detail), help && h('p', {class: 'note'}, help));
}

function countsText({succeeded, failed, cancelled, running, queued}) {
    return [[running, 'running'], [queued, 'queued'], [succeeded, 'succeeded'], [failed, 'failed'],
        [cancelled, 'cancelled']].filter(([count]) => count > 0)
        .map(([count, word]) => `${number(count)} ${word}`).join(' · ');
}

function progressView(page) {
    const {job, working} = page;
    const left = job.progress.eta_seconds;
    return h('div', {class: 'panel live'},
        h('div', {class: 'run-progress whole'},
            h('span', {class: 'run-name'}, badge(job.state), job.paused ? badge('paused') : null),
            progressBar(job.progress.fraction, 'progress of the job'),
            h('span', {class: 'note'}, countsText(job.progress),
                left == null ? '' : ` · ${duration(left)} left`)),
        working.map(runProgress));
}

function drawHead(page) {
    const {job, places} = page;
    const focused = places.head.contains(document.activeElement);
    replace(places.head, heading(job.name || `Job ${job.id}`, actions(page)),
        h('p', {class: 'subtitle'}, job.id, ' ', badge(job.state),
            job.paused ? [' ', badge('paused')] : null),
        headFacts(page), problemView(job));
    if (focused && !places.head.contains(document.activeElement)) // what had it is gone
        places.head.querySelector('h1').focus();
    drawProgress(page);
}

function drawProgress(page) {
    replace(page.places.progress, isFinal(page.job) ? null : progressView(page));
}

// ---- results ----

async function downloadReport(page, accept, extension) {
    try {
        const answer = await request(path(page.job.id, '/report'), {headers: {Accept: accept}});
        download(`${page.job.id}.${extension}`, await answer.blob());
    } catch (error) {
        notify(error.message, 'error');
    }
}

function reportButtons(page) {
    const button = (label, accept, extension) => h('button', {type: 'button', class: 'small',
        onclick: () => downloadReport(page, accept, extension)}, label);
    return [button('CSV', 'text/csv', 'csv'), button('Markdown', 'text/markdown', 'md')];
}

function plotsSection(page) {
    const {report} = page;
    const open = variant => { location.hash = `#/runs/${encodeURIComponent(variant.runs[0])}`; };
    const plots = [widthPlot(report), costPlot(report, 'bops', open),
        costPlot(report, 'peak_bytes', open)].filter(plot => plot !== null);
    return plots.length === 0 ? null : section('Plots', h('div', {class: 'plots'}, plots));
}

// Numbers that a reader has opened stay open when the plots are made anew.
function keepOpen(place, redraw) {
    const titles = new Set([...place.querySelectorAll('details[open]')]
        .map(each => each.closest('figure')?.querySelector('h3').textContent));
    redraw();
    for (const each of place.querySelectorAll('figure details'))
        each.open = titles.has(each.closest('figure').querySelector('h3').textContent);
}

function drawVariants(page) {
    const {places, report, job} = page;
    if (page.variants !== null) {
        page.variants.update(report);
    } else if (report.variants.some(variant => variant.succeeded > 0)) {
        page.variants = variantsPanel(job.id, report, reportButtons(page));
        replace(places.variants, page.variants.element);
    } else {
        replace(places.variants, section('Variants', empty(isFinal(job) ? 'No run has succeeded.'
            : 'Results are shown here as soon as the first run has succeeded.')));
    }
}

function drawResults(page) {
    const {places, report, runs} = page;
    drawVariants(page);
    if (page.variants !== null)
        keepOpen(places.plots, () => {
            const pairs = ablations(report, page.ablation);
            replace(places.plots, plotsSection(page),
                pairs && section('One choice against another', pairs));
        });
    places.runs.setRows(runs);
    const artifacts = artifactsView(runs);
    replace(places.artifacts, artifacts &&
        section('Artifacts', h('div', {class: 'long'}, artifacts)));
}

async function reload(page) {
    [page.report, page.runs] = await Promise.all([
        get(path(page.job.id, '/report'), {signal: page.signal}),
        listAll(path(page.job.id, '/runs'), page.signal)]);
}

// ---- live ----

function ended({succeeded, failed, cancelled}) {
    return `${succeeded}/${failed}/${cancelled}`;
}

function scheduleReload(page) {
    page.timer ??= setTimeout(async () => {
        page.timer = null;
        try {
            await reload(page);
            drawResults(page);
        } catch { // the next event tries again
        }
    }, reloadAfter);
}

function onEvent(page, name, data) {
    const before = ended(page.job.progress);
    if (name === 'progress') {
        const stateBefore = page.job.state + page.job.paused;
        Object.assign(page.job, {state: data.state, paused: data.paused, progress: data.progress});
        page.working = data.runs;
        if (stateBefore !== page.job.state + page.job.paused)
            drawHead(page);
        else
            drawProgress(page);
    } else {
        page.working = [];
        page.job = {...data};
        drawHead(page);
    }
    if (name === 'end') {
        page.stream = null;
        tellConnection('');
        announce(`The job has ${page.job.state}.`);
    }
    if (name === 'end' || before !== ended(page.job.progress))
        scheduleReload(page);
}

function watch(page) {
    if (page.stream !== null || isFinal(page.job))
        return;
    page.stream = events(path(page.job.id, '/events'), {
        onevent: (name, data) => onEvent(page, name, data),
        onstate: tellConnection,
    });
}

// ---- the view ----

async function load(id, signal) {
    const job = {...await get(path(id), {signal})};
    const [model, calibration, evaluation] = await Promise.all([
        findStored('models', job.model, signal), findStored('datasets', job.calibration, signal),
        findStored('datasets', job.evaluation, signal)]);
    const page = {job, signal, stored: {model, calibration, evaluation}, working: [], stream: null,
        timer: null, variants: null, ablation: {}};
    await reload(page);
    return page;
}

export const view = {
    title: params => `Job ${params.id}`,
    async render(root, params, query, signal) {
        const page = await load(params.id, signal);
        page.places = {head: h('div', {class: 'stack head-stack'}), progress: h('div'),
            variants: h('div'), plots: h('div', {class: 'stack'}), runs: runsTable(page.runs),
            artifacts: h('div')};
        page.setJob = job => {
            page.job = {...job};
            drawHead(page);
            scheduleReload(page);
            watch(page);
        };
        replace(root, crumbs([['Queue', '#/'], [page.job.name || page.job.id]]),
            page.places.head, page.places.progress, page.places.variants, page.places.plots,
            section('Runs', h('div', {class: 'long'}, page.places.runs)), page.places.artifacts,
            section('Specification', specView(page.job)));
        drawHead(page);
        drawResults(page);
        watch(page);
        return () => {
            clearTimeout(page.timer);
            page.stream?.close();
        };
    },
};
