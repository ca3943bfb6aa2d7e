// What the interface has stored: whole lists, and objects that may be gone.

import {get} from './api.js';
import {digest} from './format.js';

/** All items of a list of the interface, page by page. */
export async function listAll(address, signal) {
    const items = [];
    let cursor = null;
    do {
        const more = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const page = await get(`${address}?limit=1000${more}`, {signal});
        items.push(...page.items);
        cursor = page.next;
    } while (cursor);
    return items;
}

/** The answer, or null where there is none: not there (404), or not yet (409). */
export async function getIfKnown(address, signal) {
    return get(address, {signal}).catch(error => {
        if (error.status === 404 || error.status === 409)
            return null;
        throw error;
    });
}

/** The model or data set that a job names, by its id or as {"id", …}; null when it names none. */
export async function findStored(kind, named, signal) {
    const id = typeof named === 'object' && named !== null ? named.id : named;
    if (!id)
        return null;
    const found = await getIfKnown(`/v1/${kind}/${encodeURIComponent(id)}`, signal);
    return found ?? {id, name: ''};
}

export const nameOf = stored => stored.name || digest(stored.id);
