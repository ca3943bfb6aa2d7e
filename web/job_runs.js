// The runs of a job: what works now, all of them, and the files that they made.

import {h} from './dom.js';
import {accuracy, bytes, duration, number, points, short} from './format.js';
import {artifactLink, badge, progressBar} from './parts.js';
import {table} from './table.js';
import {variantWords} from './variants.js';

export const runLink = id => h('a', {href: `#/runs/${encodeURIComponent(id)}`}, id);

/** What a running run does: {id, worker, progress} of the events, or of GET /v1/runs/{id}. */
export function runProgress({id, worker, progress}) {
    const {step, unit, units, fraction, loss, eta_seconds: left} = progress;
    const words = [step ?? 'starting', units > 0 ? `unit ${unit} of ${units}` : null,
        loss == null ? null : `loss ${short(loss)}`,
        left == null ? null : `${duration(left)} left`, worker].filter(Boolean);
    return h('div', {class: 'run-progress'},
        h('span', {class: 'run-name'}, runLink(id)),
        progressBar(fraction, `progress of ${id}`),
        h('span', {class: 'note'}, words.join(' · ')));
}

const order = {running: 0, queued: 1, failed: 2, cancelled: 3, succeeded: 4};

/** All runs; returns the table's element with `setRows(runs)`. */
export function runsTable(runs) {
    return table({
        caption: 'Runs',
        columns: [
            {key: 'id', title: 'run', cell: run => runLink(run.id)},
            {key: 'variant', title: 'choices', value: run => `${run.variant}`,
                cell: run => variantWords(run.choices)},
            {key: 'seed', title: 'seed', align: 'right'},
            {key: 'state', title: 'state', value: run => order[run.state],
                cell: run => badge(run.state)},
            {key: 'accuracy', title: 'accuracy', align: 'right',
                cell: run => accuracy(run.accuracy, 2)},
            {key: 'loss', title: 'loss', align: 'right',
                cell: run => (run.loss == null ? '' : points(run.loss, 2))},
            {key: 'seconds', title: 'time', align: 'right',
                value: run => run.seconds?.total ?? null,
                cell: run => (run.seconds ? duration(run.seconds.total) : '')},
            {key: 'attempts', title: 'attempts', align: 'right',
                cell: run => number(run.attempts)},
        ],
        rows: runs,
        empty: 'This job has no runs.',
    });
}

/** The files of all runs; null when there are none. */
export function artifactsView(runs) {
    const makers = runs.filter(run => run.artifacts?.length > 0);
    if (makers.length === 0)
        return null;
    const size = run => run.artifacts.reduce((sum, artifact) => sum + artifact.bytes, 0);
    return table({
        caption: 'Artifacts',
        columns: [
            {key: 'id', title: 'run', cell: run => runLink(run.id)},
            {key: 'variant', title: 'choices', cell: run => variantWords(run.choices)},
            {key: 'artifacts', title: 'files', sort: false, cell: run => h('span',
                {class: 'artifacts'}, run.artifacts.map(each => artifactLink(run.id, each)))},
            {key: 'bytes', title: 'together', align: 'right', value: size,
                cell: run => bytes(size(run))},
        ],
        rows: makers,
    });
}
