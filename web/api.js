// The REST interface: JSON with the token of the session, problems as exceptions, answers kept by
// their ETag, and server-sent events over fetch, because EventSource can't send a header.

import {subscribe} from './events.js';

const TOKEN = 'ptqd-token';
const KEPT = 200; // answers
const EARLY = 5000; // ms from the start of the page

/** A request that failed. `problem` is the document of RFC 9457, or one like it for a failure of
 * the network, which has the status 0. */
export class ApiError extends Error {
    constructor(problem) {
        super(problem.detail || problem.title || 'the request failed');
        this.name = 'ApiError';
        this.problem = problem;
        this.status = problem.status ?? 0;
    }
}

export const isAbort = error => error?.name === 'AbortError';

// ---- the token ----

let askForToken = async () => null;
let asking = null;

/** `ask()` gives a promise of a token, or of null when the user has none. */
export function onTokenNeeded(ask) {
    askForToken = ask;
}

export function setToken(token) {
    if (token)
        sessionStorage.setItem(TOKEN, token);
    else
        sessionStorage.removeItem(TOKEN);
    kept.clear();
    document.dispatchEvent(new Event('tokenchange'));
}

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

export function authorization() {
    const token = sessionStorage.getItem(TOKEN);
    return token ? {Authorization: `Bearer ${token}`} : {};
}

// However many requests are refused at once, there is one question. Of a request that was sent
// with an older token than that of now, the new one is tried first.
async function newToken(sent) {
    if (sent.Authorization !== authorization().Authorization)
        return true;
    asking ??= askForToken().finally(() => { asking = null; });
    const token = await asking;
    if (token)
        setToken(token);
    return Boolean(token);
}

// ---- requests ----

const kept = new Map(); // path and media type → {etag, value}

function keep(key, etag, value) {
    kept.delete(key);
    kept.set(key, {etag, value});
    if (kept.size > KEPT)
        kept.delete(kept.keys().next().value);
}

async function problemOf(response) {
    const text = await response.text();
    try {
        return {status: response.status, ...JSON.parse(text)};
    } catch {
        return {status: response.status, title: response.statusText, detail: text.slice(0, 300)};
    }
}

// What early.js has asked with the same token: for the first view only, later it would be old.
function takeEarly(path, {method}, auth) {
    const early = globalThis.askedEarly?.get(path);
    if (!early || method || performance.now() > EARLY)
        return null;
    globalThis.askedEarly.delete(path);
    return early.authorization === auth.Authorization ? early.answer : null;
}

/** fetch with the token; throws ApiError. 304 passes. */
export async function request(path, options = {}) {
    for (;;) {
        const auth = authorization();
        let response;
        try {
            response = await (takeEarly(path, options, auth) ?? fetch(path, {
                cache: 'no-store',
                ...options,
                headers: {...options.headers, ...auth},
            }));
        } catch (error) {
            if (isAbort(error))
                throw error;
            throw new ApiError({status: 0, code: 'offline', title: 'No connection',
                detail: 'The daemon does not answer.'});
        }
        if (response.ok || response.status === 304)
            return response;
        const problem = await problemOf(response);
        if (response.status !== 401 || !await newToken(auth))
            throw new ApiError(problem);
    }
}

const isJson = response => /[/+]json/.test(response.headers.get('Content-Type') ?? '');

async function valueOf(response) {
    if (response.status === 204)
        return null;
    return isJson(response) ? response.json() : response.text();
}

/** The answer: parsed when it is JSON, else text. One that has not changed is the same object as
 * before: don't write to it. */
export async function get(path, {signal, accept = 'application/json'} = {}) {
    const key = `${accept} ${path}`;
    const known = kept.get(key);
    const headers = {Accept: accept, ...known && {'If-None-Match': known.etag}};
    const response = await request(path, {signal, headers});
    if (response.status === 304)
        return known.value;
    const value = await valueOf(response);
    const etag = response.headers.get('ETag');
    if (etag)
        keep(key, etag, value);
    return value;
}

async function send(method, path, body, headers) {
    const options = {method, headers: {Accept: 'application/json', ...headers}};
    if (body !== undefined) {
        options.headers['Content-Type'] = 'application/json';
        options.body = JSON.stringify(body);
    }
    return valueOf(await request(path, options));
}

/** Null for an answer without a body. */
export const post = (path, body, headers) => send('POST', path, body, headers);
export const patch = (path, body) => send('PATCH', path, body);
export const remove = path => send('DELETE', path);

// ---- uploads ----

function sendFile(path, file, headers, onprogress) {
    return new Promise((resolve, reject) => {
        const http = new XMLHttpRequest(); // fetch tells nothing of what is sent
        http.open('POST', path);
        for (const [name, value] of Object.entries(headers))
            http.setRequestHeader(name, value);
        http.upload.onprogress = event => onprogress?.(event.loaded / (event.total || 1));
        http.onload = () => resolve(http);
        http.onerror = () => reject(new ApiError({status: 0, code: 'offline',
            title: 'No connection', detail: `The upload of ${file.name} was cut.`}));
        http.send(file);
    });
}

function parse(text, status) {
    try {
        return JSON.parse(text);
    } catch {
        return {status, detail: text.slice(0, 300)};
    }
}

/** Sends a file as the body; `onprogress(fraction)`. The answer as of post(). */
export async function upload(path, file, onprogress) {
    for (;;) {
        const auth = authorization();
        const http = await sendFile(path, file, {Accept: 'application/json', ...auth}, onprogress);
        const value = parse(http.responseText, http.status);
        if (http.status >= 200 && http.status < 300)
            return value;
        if (http.status !== 401 || !await newToken(auth))
            throw new ApiError({status: http.status, ...value});
    }
}

/** A file of the interface that needs the token, so that no plain link can fetch it. */
export async function fetchBlob(path, accept = '*/*') {
    return (await request(path, {headers: {Accept: accept}})).blob();
}

// ---- events ----

/** Server-sent events: `onevent(name, data)`, `onstate('live' | 'lost')`. Comes back by itself,
 * and asks from time to time where streams don't get through. Ends behind an event "end". */
export function events(path, {onevent, onstate}) {
    return subscribe(path, {onevent, onstate, request, get});
}
