// Who looks at the page, as the token says, and what they may do.

import {get} from './api.js';

const ANYBODY = {owner: '', role: 'admin', quotas: {}, used: {}};

let asked = null;
let known = ANYBODY;

/** Asks once, until the token changes. A daemon that can't tell lets everybody try. */
export function me() {
    asked ??= get('/v1/me').catch(error => {
        if (error.status === 404)
            return ANYBODY;
        asked = null;
        throw error;
    }).then(answer => known = answer);
    return asked;
}

document.addEventListener('tokenchange', () => {
    asked = null;
    known = ANYBODY;
});

export const maySubmit = () => known.role !== 'read';
export const mayAdminister = () => known.role === 'admin';

/** Whether a job, or what else has an owner, may be changed. */
export const mayChange = object => mayAdminister() || maySubmit() && object.owner === known.owner;

/** "12 of 100 runs queued", where there is a limit. */
export function quotaOf(answer) {
    const limit = answer.quotas?.queued_runs;
    return typeof limit === 'number' ? `${answer.used.queued_runs} of ${limit} runs queued` : '';
}
