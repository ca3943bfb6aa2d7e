// Server-sent events read from fetch: a stream, its return after a loss, and polling where a
// stream does not get through.
//
// A browser has six connections to a daemon, for all its tabs. So a tab that nobody sees has no
// stream; it begins with how things are when it is looked at again.

const QUIET = 40000; // ms; the daemon says something every 15 s
const POLL = 3000;
const POLLS = 10; // before a stream is tried again
const BACK_OFF = [500, 1000, 2000, 4000, 8000, 15000];

const pause = (time, signal) => new Promise(resolve => {
    const timer = setTimeout(resolve, time);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, {once: true});
});

/* Until the page is seen. */
const seen = signal => new Promise(resolve => {
    if (!document.hidden)
        return resolve();
    const look = () => {
        if (document.hidden && !signal.aborted)
            return;
        document.removeEventListener('visibilitychange', look);
        resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look, {once: true});
});

/** Calls `onevent(name, text)` for each event of what is fed to it piece by piece. */
export function parser(onevent) {
    let rest = '';
    return piece => {
        const blocks = (rest + piece).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
            let name = 'message';
            let data = '';
            for (const line of block.split('\n')) {
                if (line.startsWith('event: '))
                    name = line.slice(7);
                else if (line.startsWith('data: '))
                    data += line.slice(6);
            }
            if (data)
                onevent(name, data);
        }
    };
}

// Reads a stream until it ends; true when an event "end" has come.
async function follow(path, {request, onevent, onopen}, signal) {
    const silent = new AbortController();
    const giveUp = () => silent.abort();
    const onHidden = () => document.hidden && silent.abort();
    document.addEventListener('visibilitychange', onHidden);
    signal.addEventListener('abort', giveUp, {once: true});
    let timer = setTimeout(giveUp, QUIET);
    let ended = false;
    const feed = parser((name, data) => {
        ended ||= name === 'end';
        onevent(name, JSON.parse(data));
    });
    try {
        const response = await request(path, {
            headers: {Accept: 'text/event-stream'},
            signal: silent.signal,
        });
        onopen();
        if (response.status === 204)
            return true;
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
            const {done, value} = await reader.read();
            clearTimeout(timer);
            timer = setTimeout(giveUp, QUIET);
            if (done)
                return ended;
            feed(value);
        }
    } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        document.removeEventListener('visibilitychange', onHidden);
    }
}

const isFinal = job => Boolean(job.finished);

// What a stream would have said, from plain requests. True at the end.
async function ask(path, {get, onevent}, signal) {
    const watched = path.match(/^\/v1\/jobs\/[^/]+(?=\/events)/);
    if (watched) {
        const job = await get(watched[0], {signal});
        onevent(isFinal(job) ? 'end' : 'job', job);
        return isFinal(job);
    }
    const [queue, jobs] = await Promise.all([get('/v1/queue', {signal}),
        get('/v1/jobs?limit=100', {signal})]);
    onevent('snapshot', {paused: queue.paused, items: jobs.items.filter(job => !isFinal(job))});
    return false;
}

async function poll(path, options, signal) {
    for (let i = 0; i < POLLS && !signal.aborted; i++) {
        if (await ask(path, options, signal))
            return true;
        options.onopen();
        await pause(POLL, signal);
    }
    return false;
}

/** See events() of api.js. */
export function subscribe(path, {onevent, onstate, request, get}) {
    const closed = new AbortController();
    let state = '';
    let tries = 0;
    const tell = now => {
        if (now === state || closed.signal.aborted)
            return;
        state = now;
        document.dispatchEvent(new CustomEvent('connection', {detail: now}));
        onstate?.(now);
    };
    const options = {
        request,
        get,
        onevent: (name, data) => closed.signal.aborted || onevent(name, data),
        onopen: () => { tries = 0; tell('live'); },
    };
    const run = async () => {
        while (!closed.signal.aborted) {
            await seen(closed.signal);
            try {
                if (await follow(path, options, closed.signal))
                    return;
            } catch (error) {
                if ([401, 403, 404].includes(error.status))
                    return tell('lost');
                // It answers, but not with a stream: all places taken, or something in between.
                if (error.status > 0) {
                    const ended = await poll(path, options, closed.signal).catch(() => null);
                    if (ended)
                        return;
                    if (ended === false)
                        continue; // with a stream, if there is one now
                }
            }
            if (document.hidden)
                continue;
            tell('lost');
            await pause(BACK_OFF[Math.min(tries++, BACK_OFF.length - 1)], closed.signal);
        }
    };
    run();
    return {close: () => closed.abort()};
}
