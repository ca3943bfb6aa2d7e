// The rows of the queue: one for each job of a page, changed in place while it runs.

import {get} from './api.js';
import {h, replace} from './dom.js';
import {ago, duration, plural, time} from './format.js';
import {isFinal, jobActions} from './job_actions.js';
import {badge, progressBar} from './parts.js';

const names = new Map(); // of models, by id: promises

/** The name that a model was given, or the start of its id. */
export function modelName(id) {
    if (!names.has(id)) {
        const short = id.replace('sha256:', '').slice(0, 10);
        names.set(id, get(`/v1/models/${id}`).then(model => model.name || short, error => {
            if (error.status !== 404)
                names.delete(id); // to be asked again
            return short;
        }));
    }
    return names.get(id);
}

export const stateOf = job => {
    if (isFinal(job))
        return badge(job.state);
    if (job.cancel_requested)
        return badge('cancelling');
    return badge(job.paused ? 'paused' : job.state);
};

const left = seconds => Number.isFinite(seconds) ? `${duration(seconds)} left` : '';

/** "j12-v003-s1" as "variant 3, seed 1". */
export function runTitle(id) {
    const parts = id.match(/-v(\d+)-s(\d+)$/);
    return parts ? `variant ${Number(parts[1])}, seed ${parts[2]}` : id;
}

/** "reconstruct 4 of 12": what a run is at. */
export function stepOf(progress) {
    if (!progress.step)
        return 'starting';
    return progress.units > 1 ? `${progress.step}, ${progress.unit} of ${progress.units}`
        : progress.step;
}

function runRow(run) {
    return h('li', null,
        h('div', {class: 'told'},
            h('span', null, h('a', {href: `#/runs/${run.id}`}, runTitle(run.id)), ' · ',
                stepOf(run.progress)),
            h('span', null, left(run.progress.eta_seconds))),
        progressBar(run.progress.fraction, `${runTitle(run.id)}: ${stepOf(run.progress)}`));
}

function finished(job) {
    const {runs, failed, cancelled} = job.progress;
    const took = (new Date(job.finished) - new Date(job.started)) / 1000;
    const how = [failed && `${failed} failed`, cancelled && `${cancelled} cancelled`]
        .filter(Boolean).join(', ');
    return h('div', {class: 'told'}, h('span', null, plural(runs, 'run'), how && `, ${how}`),
        h('span', null, job.finished && job.started ? duration(took) : ''));
}

function doing(job) {
    if (isFinal(job))
        return finished(job);
    const {runs, succeeded, failed, cancelled, running, fraction} = job.progress;
    const ended = succeeded + failed + cancelled;
    return [
        progressBar(fraction, `Progress of ${job.name || job.id}`),
        h('div', {class: 'told'},
            h('span', null, running + ended > 0 ? `${ended} of ${plural(runs, 'run')} done`
                : `${plural(runs, 'run')} waiting`, failed > 0 && `, ${failed} failed`),
            h('span', null, left(job.progress.eta_seconds))),
        job.runs?.length > 0 && h('ul', {class: 'runs'}, job.runs.map(runRow)),
    ];
}

function labels(job) {
    return Object.entries(job.labels ?? {}).map(([key, value]) =>
        h('a', {class: 'chip', href: `#/?label=${encodeURIComponent(`${key}=${value}`)}`},
            `${key}=${value}`));
}

/** {element, job, update(changes)}: `changes` are members of the job, `runs` those that run. */
export function jobRow(first, ondone) {
    const network = h('a', {href: `#/models/${encodeURIComponent(first.model)}`}, '…');
    modelName(first.model).then(name => { replace(network, name); });
    const cells = {
        state: h('div', {class: 'state'}),
        doing: h('div', {class: 'doing'}),
        actions: h('div', {class: 'actions'}),
    };
    const row = {job: first};
    row.element = h('li', {class: 'job'},
        h('div', {class: 'title'},
            h('a', {class: 'name', href: `#/jobs/${first.id}`}, first.name || first.id),
            h('div', {class: 'under'}, first.name && h('span', null, first.id), labels(first))),
        h('div', {class: 'network cut'}, network),
        h('div', {class: 'owner cut', title: first.owner}, first.owner),
        cells.state, cells.doing,
        h('time', {class: 'muted cut', datetime: first.created, title: time(first.created)},
            ago(first.created)),
        cells.actions);

    // Buttons are made anew only when others are needed: one of them may have the focus.
    let shown = '';
    row.update = changes => {
        const job = row.job = {...row.job, ...changes};
        replace(cells.doing, doing(job));
        const state = `${job.state} ${job.paused} ${job.cancel_requested}`;
        if (state === shown)
            return;
        shown = state;
        const focused = cells.actions.contains(document.activeElement);
        replace(cells.state, stateOf(job));
        replace(cells.actions, jobActions(job, ondone));
        if (focused)
            (cells.actions.querySelector('button') ?? row.element.querySelector('a')).focus();
    };
    row.update({});
    return row;
}
