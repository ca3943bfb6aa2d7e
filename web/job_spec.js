// The specification of a job, to be read, copied, and submitted again.

import {h} from './dom.js';
import {copyBox, curlOf} from './submit_summary.js';

const members = ['name', 'labels', 'priority', 'model', 'calibration', 'evaluation', 'seeds',
    'pipeline'];

/** What POST /v1/jobs would get: the job's specification with every default. */
export function specOf(job) {
    const given = members.filter(key => job[key] !== null && job[key] !== undefined &&
        job[key] !== '' && job[key] !== 0 && JSON.stringify(job[key]) !== '{}');
    return Object.fromEntries(given.map(key => [key, job[key]]));
}

export function specView(job) {
    const spec = specOf(job);
    return h('div', {class: 'grid'},
        copyBox('As JSON, with every default', JSON.stringify(spec, null, 2)),
        copyBox('With curl', curlOf(spec)));
}
