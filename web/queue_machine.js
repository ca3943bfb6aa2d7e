// What the machine does: the workers and their runs, and how much memory and disk is taken.

import {get} from './api.js';
import {h, replace} from './dom.js';
import {bytes, duration, NOTHING, number} from './format.js';
import {progressBar} from './parts.js';
import {runTitle, stepOf} from './queue_rows.js';

/** A Prometheus text as a map from "name{labels}" to number. */
export function metrics(text) {
    const values = new Map();
    for (const line of text.split('\n')) {
        const found = line.match(/^([a-z_]+(?:\{.*\})?) (\S+)$/);
        if (found)
            values.set(found[1], Number(found[2]));
    }
    return values;
}

const sum = (values, prefix) => [...values].reduce((total, [name, value]) =>
    name.startsWith(prefix) ? total + value : total, 0);

function fact(title, figure, note) {
    return h('div', null, h('dt', null, title), h('dd', {class: 'figure'}, figure),
        h('dd', {class: 'note'}, note));
}

function machineFacts(values) {
    if (!values)
        return [fact('Memory', NOTHING, ''), fact('Disk', NOTHING, '')];
    const free = values.get('ptqd_disk_free_bytes');
    const stored = sum(values, 'ptqd_object_bytes') + (values.get('ptqd_database_bytes') ?? 0);
    return [
        fact('Memory', bytes(values.get('process_resident_memory_bytes')), 'of the daemon'),
        fact('Disk', bytes(stored), `stored, ${bytes(free)} free`),
    ];
}

function summary(queue, values) {
    const oldest = values?.get('ptqd_queue_oldest_seconds');
    return [
        fact('Running', `${number(queue.runs.length)} of ${number(queue.workers)}`,
            queue.paused ? 'workers; the queue is paused' : 'workers'),
        fact('Waiting', number(queue.queued), oldest > 0 ? `runs, the first for ${duration(oldest)}`
            : queue.queued === 1 ? 'run' : 'runs'),
        ...machineFacts(values),
    ];
}

function worker(run) {
    const {progress} = run;
    return h('li', {class: 'worker'},
        h('a', {href: `#/runs/${run.id}`}, `${run.job}, ${runTitle(run.id)}`),
        h('span', {class: 'note'}, run.worker),
        progressBar(progress.fraction, `${run.worker}: ${stepOf(progress)}`),
        h('span', {class: 'step note'}, h('span', null, stepOf(progress)),
            h('span', null, Number.isFinite(progress.eta_seconds)
                ? `${duration(progress.eta_seconds)} left` : '')));
}

/** {element, load(signal)}: `load` asks anew; /metrics only every ten seconds. */
export function machine() {
    const facts = h('dl', {class: 'summary'});
    const list = h('ul', {class: 'workers'});
    const panel = h('section', {class: 'panel', hidden: true, 'aria-label': 'Workers'},
        h('h2', null, 'Workers'), list);
    let values = null;
    let asked = 0;

    async function load(signal) {
        const due = Date.now() - asked > 10000;
        if (due)
            asked = Date.now();
        const [queue, text] = await Promise.all([get('/v1/queue', {signal}),
            due ? get('/metrics', {signal, accept: 'text/plain'}) : null]);
        if (text)
            values = metrics(text);
        const runs = [...queue.runs].sort((a, b) => a.worker < b.worker ? -1 : 1);
        replace(facts, summary(queue, values));
        replace(list, runs.map(worker));
        panel.hidden = runs.length === 0;
        return queue;
    }

    return {element: h('div', {class: 'view'}, facts, panel), load};
}
